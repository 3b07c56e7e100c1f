-- Uses a PIN up. Its order and its client are kept for a while, for a save that arrives late.
-- KEYS     [1] hash of the recipient's PINs, as in pin_fields.lua; [2] list of its failures; [3] the requester that verified it lately
-- ARGV     pinId, how long its order is kept (ms), the requester that has verified it with this PIN, how long that is kept (ms)
-- Reply    {1} to exactly one caller, {0} to all others
-- include pin_fields
local last, found = 0, nil
for _, place in ipairs(PLACES) do
  local pin = redis.call('HMGET', KEYS[1], place .. 'pinId', place .. 'ends')
  if pin[1] == ARGV[1] then found = place else last = math.max(last, tonumber(pin[2] or 0)) end
end
if not found then return {0} end
clear(found)
local time = redis.call('TIME')
local kept = math.floor(time[1] * 1000 + time[2] / 1000 + ARGV[2])
redis.call('HSET', KEYS[1], found .. 'ends', string.format('%.0f', kept))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(last, kept)))
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return {1}
