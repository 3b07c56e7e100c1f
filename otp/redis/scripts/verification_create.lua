-- Stores the verification of a PIN that was sent. Harmless when it runs twice: its id is unique.
-- KEYS[1]  hash of the verification
-- ARGV     how long it lives (ms), then fields and values
-- Reply    nothing
if redis.call('EXISTS', KEYS[1]) == 1 then return end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
