-- Forgives all that the address sent.
-- KEYS[1]  as in guard_address.lua
-- Reply    nothing
redis.call('DEL', KEYS[1])
