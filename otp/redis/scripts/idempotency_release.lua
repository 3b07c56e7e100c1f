-- Makes the Idempotency-Key free again.
-- KEYS[1]  as in idempotency_begin.lua
-- ARGV     owner
-- Reply    nothing
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then redis.call('DEL', KEYS[1]) end
