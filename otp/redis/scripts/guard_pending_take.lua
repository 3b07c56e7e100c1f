-- Returns and removes the sends of a phone that was verified.
-- KEYS[1]  list of the phone's sends
-- Reply    the sends
local sends = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return sends
