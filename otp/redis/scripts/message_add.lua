-- Stores a message whose delivery will be reported.
-- KEYS[1]  hash of the message
-- ARGV     how long it lives (ms), then fields and values
-- Reply    nothing
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
