-- Sets the rule for a phone or a prefix.
-- KEYS[1]  hash: `phone +442071838750` or `prefix +99890`, and what holds for it: `block 1795435200` or `trust 1795435200`,
--          until that Unix time (s)
-- ARGV     phone or prefix, block or trust, how long it holds (s), how many rules there may be
-- Reply    1; 0 if there are as many rules already
local is_new = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
if is_new and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
local ends = redis.call('TIME')[1] + ARGV[3]
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', ends))
redis.call('PEXPIRE', KEYS[1], math.max(left, ARGV[3] * 1000))
return 1
