-- Refunds a guess that Infobip has not checked, or may not have checked.
-- KEYS     [1] hash of the recipient's PINs, as in pin_fields.lua; [2] list of its failures
-- ARGV     pinId, 1 to refund the PIN's guess, too, and not only the failure
-- Reply    nothing
-- include pin_fields
redis.call('LPOP', KEYS[2])
if ARGV[2] ~= '1' then return end
local place = find_place(ARGV[1])
if place then redis.call('HINCRBY', KEYS[1], place .. 'attempts', -1) end
