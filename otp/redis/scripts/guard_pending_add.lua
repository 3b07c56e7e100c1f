-- Adds a send that is not verified yet.
-- KEYS[1]  list of the phone's sends
-- ARGV     the send, how long it can be verified (ms)
-- Reply    nothing
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
