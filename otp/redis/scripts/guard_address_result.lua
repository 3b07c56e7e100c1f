-- Records that a counted send was 'verified', or is 'released'. Does nothing if the send is no longer kept.
-- KEYS[1]  as in guard_address_reserve.lua
-- ARGV     when it was counted, region, result
-- Reply    nothing
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return end
if redis.call('HINCRBY', KEYS[1], ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[1], ARGV[2]) end
if ARGV[3] == 'verified' then redis.call('HINCRBY', KEYS[1], 'verified', 1) end
redis.call('HDEL', KEYS[1], 'until', 'why')
-- Most addresses belong to one person: if nothing is unverified, the key is not needed.
if redis.call('HLEN', KEYS[1]) == redis.call('HEXISTS', KEYS[1], 'verified') then redis.call('DEL', KEYS[1]) end
