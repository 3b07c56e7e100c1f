-- Keeps the PIN that was just sent. Harmless when it runs twice or late: it neither replaces a newer PIN nor revives a used one.
-- KEYS[1]  hash of the recipient's PIN: pinId, attempts, verification, order; or of order alone, where it was used just now
-- ARGV     lifetime (ms), order (Redis' time of the send's reservation, microseconds), then fields and values
-- Replies  {1 if it was saved, the verification ids of the PIN that it replaced, or ''}
local seen = redis.pcall('HMGET', KEYS[1], 'order', 'verification')
local is_hash = not seen.err
if is_hash and tonumber(seen[1] or 0) >= tonumber(ARGV[2]) then return {0, ''} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'attempts', 0, 'order', ARGV[2], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {1, is_hash and seen[2] or ''}
