-- What is known of a PIN that can be verified.
-- KEYS[1]  hash of the recipient's PIN
-- ARGV     the guesses that a PIN has
-- Replies  {pinId, how often it was sent once more, its life (ms), its verification ids}; nil without a PIN or a guess
local pin = redis.call('HMGET', KEYS[1], 'pinId', 'attempts', 'again', 'verification')
if not pin[1] or tonumber(pin[2]) >= tonumber(ARGV[1]) then return false end
return {pin[1], tonumber(pin[3] or 0), redis.call('PTTL', KEYS[1]), pin[4] or ''}
