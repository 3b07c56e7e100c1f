-- Stores when something happened to a PIN. If it happens twice, the first time is kept.
-- KEYS[1]  hash of the verification
-- ARGV     field, Unix time (s)
-- Reply    nothing
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) end
