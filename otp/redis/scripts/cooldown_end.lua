-- Ends the cooldown if this reservation still holds it.
-- KEYS[1]  the cooldown
-- ARGV     the id of the reservation
-- Reply    nothing
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
