-- Adds to the counts of a minute.
-- KEYS[1]  hash of names and counts
-- ARGV     seconds that the hash lives, then names and counts
-- Reply    nothing
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
