-- Ends the cooldown and uncounts the send, if this reservation still holds the cooldown.
-- KEYS     [1], [2] and [3] of recipient_reserve.lua
-- ARGV     the id of the reservation
-- Reply    nothing
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1])
redis.call('LPOP', KEYS[2])
redis.call('LPOP', KEYS[3])
