-- Adds to the failed verifies of an hour, for each recipient and each address.
-- KEYS[1]  hash of names and counts
-- ARGV     how many names it has at most, then names and counts
-- Replies  the sum of each name; 0 for a name for which there is no room
local sums = {}
for i = 2, #ARGV, 2 do
  local known = redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[1])
  sums[#sums + 1] = known and redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) or 0
end
redis.call('EXPIRE', KEYS[1], 7200)
return sums
