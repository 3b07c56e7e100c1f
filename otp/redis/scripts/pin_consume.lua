-- Uses the PIN up. What is left is its order, for a save of it that arrives late.
-- KEYS[1]  hash of the recipient's PIN
-- ARGV     pinId, how long its order is kept (ms)
-- Replies  {1} to exactly one caller, {0} to all others
if redis.call('HGET', KEYS[1], 'pinId') ~= ARGV[1] then return {0} end
local order = redis.call('HGET', KEYS[1], 'order')
redis.call('DEL', KEYS[1])
if order then
  redis.call('HSET', KEYS[1], 'order', order)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {1}
