-- The first report of a message decides; later callers get the outcome of the first one.
-- KEYS[1]  hash of the message
-- ARGV     the outcome in this report
-- Reply    {1 if it is the first, the first outcome, reservation, channel, country, verifications, request}; nil if the
--          message is unknown
local known = redis.call('HMGET', KEYS[1], 'reservation', 'channel', 'country', 'verifications', 'request')
if not known[1] then return false end
local first = redis.call('HSETNX', KEYS[1], 'outcome', ARGV[1])
return {first, redis.call('HGET', KEYS[1], 'outcome'), unpack(known)}
