-- Notes that Infobip does not know a PIN any more. It is not found any more, but it can be used: Infobip forgets a PIN that
-- it has verified, and may say so to another request before the one that has verified it uses the PIN up.
-- KEYS[1]  hash of the recipient's PINs, as in pin_fields.lua
-- ARGV     pinId
-- Reply    {1} if it was found until now, {0} otherwise
-- include pin_fields
for _, place in ipairs(PLACES) do
  local pin = redis.call('HMGET', KEYS[1], place .. 'pinId', place .. 'gone', place .. 'order')
  if pin[1] == ARGV[1] and not is_gone(pin[2], pin[3]) then
    redis.call('HSET', KEYS[1], place .. 'gone', pin[3] or '')
    return {1}
  end
end
return {0}
