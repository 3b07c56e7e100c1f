-- Counts that the PIN is sent once more.
-- KEYS[1]  hash of the recipient's PIN
-- ARGV     pinId, the hash of one more verification id of it or ''
-- Replies  {how often it was sent once more}; {0}, with nothing counted, if it is not the recipient's PIN any more
if redis.call('HGET', KEYS[1], 'pinId') ~= ARGV[1] then return {0} end
local known = redis.call('HGET', KEYS[1], 'verification') or ''
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'verification', known .. ' ' .. ARGV[2]) end
return {redis.call('HINCRBY', KEYS[1], 'again', 1)}
