-- Gives a guess back that Infobip did not judge.
-- KEYS[1]  hash of the recipient's PIN
-- ARGV     pinId
if redis.call('HGET', KEYS[1], 'pinId') == ARGV[1] then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
