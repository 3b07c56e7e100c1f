-- Sets the rule for a phone or a prefix, and removes the rules that are over.
-- KEYS[1]  hash: `phone +442071838750` or `prefix +99890`, and what holds for it: `block 1795435200` or `trust 1795435200`,
--          until that Unix time (s)
-- ARGV     phone or prefix, block or trust, how long it holds (s)
-- Reply    the Unix time until which it holds
local now = tonumber(redis.call('TIME')[1])
local ends = now + ARGV[3]
local last, fields = ends, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local at = tonumber(string.match(fields[i + 1], '%d+$') or 0)
  if at <= now then redis.call('HDEL', KEYS[1], fields[i]) else last = math.max(last, at) end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', ends))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last * 1000))
return ends
