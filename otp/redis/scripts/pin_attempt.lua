-- Counts one guess, before Infobip judges it.
-- KEYS[1]  hash of the recipient's PIN
-- ARGV     the guesses that a PIN has, the hash of the verification id or ''
-- Replies  {pinId, the number of this guess, its verification ids}; nil without a PIN, a guess, or with another's id
local pin = redis.call('HMGET', KEYS[1], 'pinId', 'attempts', 'verification')
if not pin[1] or tonumber(pin[2]) >= tonumber(ARGV[1]) then return false end
if ARGV[2] ~= '' and not string.find(pin[3] or '', ARGV[2], 1, true) then return false end
return {pin[1], redis.call('HINCRBY', KEYS[1], 'attempts', 1), pin[3] or ''}
