-- Subtracts a price that was reserved.
-- KEYS[1]  as in budget_reserve.lua
-- ARGV     price
-- Reply    nothing
if tonumber(redis.call('HGET', KEYS[1], 'spent') or 0) < tonumber(ARGV[1]) then return end
redis.call('HINCRBY', KEYS[1], 'spent', '-' .. ARGV[1])
