-- Notes that Infobip does not know a PIN any more. It is not found any more, but it can be used: Infobip forgets a PIN that
-- it has verified, and may say so to another request before the one that has verified it uses the PIN up.
-- KEYS[1]  hash of the recipient's PINs, as in pin_fields.lua
-- ARGV     pinId
-- Reply    {1} if it was found until now, {0} otherwise
-- include pin_fields
local place, gone = find_place(ARGV[1])
if not place or gone then return {0} end
redis.call('HSET', KEYS[1], place .. 'gone', redis.call('HGET', KEYS[1], place .. 'order') or '')
return {1}
