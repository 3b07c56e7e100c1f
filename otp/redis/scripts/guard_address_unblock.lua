-- Forgets all sends of the address.
-- KEYS[1]  as in guard_address_reserve.lua
-- Reply    1 if it had sent anything, else 0
return redis.call('DEL', KEYS[1])
