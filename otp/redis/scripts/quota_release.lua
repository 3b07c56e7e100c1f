-- Uncounts a send in the sixtieth of the period in which it was counted.
-- KEYS[1]  as in quota_reserve.lua
-- ARGV     the sixtieth
-- Reply    nothing
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) <= 0 then return end
redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
redis.call('HINCRBY', KEYS[1], 'sum', -1)
redis.call('HDEL', KEYS[1], 'room')
