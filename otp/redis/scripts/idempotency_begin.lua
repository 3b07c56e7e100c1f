-- Is this request the first one with its Idempotency-Key? The first request's age is the part of the key's lifetime that is
-- over, and `left` the part that was left at the response: by Redis's clock, which all replicas share.
-- KEYS[1]  hash of owner, body, answer, left
-- ARGV     owner, body, how long it is kept (ms)
-- Reply    nil to the first; else {its body, its answer or '', its age (ms), the age of its answer (ms)}
local first, left = redis.call('HMGET', KEYS[1], 'body', 'answer', 'left', 'owner'), redis.call('PTTL', KEYS[1])
if first[4] == ARGV[1] then return end
if first[1] then return {first[1], first[2] or '', ARGV[3] - left, (first[3] or left) - left} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'body', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
