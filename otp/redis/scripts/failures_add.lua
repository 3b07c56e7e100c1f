-- Adds to the failed verifies of an hour, for each recipient and each address.
-- KEYS[1]  hash of names and counts
-- ARGV     seconds that the hash lives, how many names it has at most, then names and counts
-- Reply    the sum of each name; 0 for a name for which there is no room
local sums, names = {}, redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 2 do
  local fits = names < tonumber(ARGV[2]) or redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1
  local sum = fits and redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) or 0
  if sum == tonumber(ARGV[i + 1]) then names = names + 1 end
  sums[#sums + 1] = sum
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return sums
