-- Notes when something happened to a PIN. What happens twice happened first when it did first.
-- KEYS[1]  hash of the verification
-- ARGV     field, Unix time (s)
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) end
