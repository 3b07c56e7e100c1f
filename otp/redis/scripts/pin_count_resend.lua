-- Counts a resend of a PIN.
-- KEYS[1]  hash of the recipient's PINs, as in pin_fields.lua
-- ARGV     pinId, the hash of another verification id of it or ''
-- Reply    {the number of its resends}; {0}, with nothing counted, if the recipient does not have it any more
-- include pin_fields
local place, gone = find_place(ARGV[1])
if not place or gone then return {0} end
local ids = redis.call('HGET', KEYS[1], place .. 'verification') or ''
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], place .. 'verification', ids .. ' ' .. ARGV[2]) end
return {redis.call('HINCRBY', KEYS[1], place .. 'again', 1)}
