-- The first report of a message decides; whoever comes later hears what the first one said.
-- KEYS[1]  hash of the message
-- ARGV     what this report says
-- Replies  {1 if it is the first, what the first said, reservation, channel, country, verifications, request}; nil for no message of ours
local known = redis.call('HMGET', KEYS[1], 'reservation', 'channel', 'country', 'verifications', 'request')
if not known[1] then return false end
local first = redis.call('HSETNX', KEYS[1], 'outcome', ARGV[1])
return {first, redis.call('HGET', KEYS[1], 'outcome'), unpack(known)}
