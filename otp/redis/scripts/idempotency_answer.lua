-- Stores the response.
-- KEYS[1]  as in idempotency_begin.lua
-- ARGV     owner, answer
-- Reply    nothing
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return end
redis.call('HSET', KEYS[1], 'answer', ARGV[2], 'left', redis.call('PTTL', KEYS[1]))
