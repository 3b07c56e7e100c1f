-- May this recipient get a message now? Takes the cooldown and counts, as one decision: whoever comes during the cooldown
-- is never counted against the limit. The limit is exact to the microsecond, in every window.
-- KEYS     [1] the cooldown: the id of the reservation that holds it; [2] list of the times of the recipient's sends
--          (microseconds since 1970), the newest first
-- ARGV     sends in a period, the period (s), the id of the reservation, the cooldown (ms)
-- Replies  {ms to wait, 0 if it may; 1 if it is the limit; the time (microseconds), later than that of the send before}
local amount, period = tonumber(ARGV[1]), ARGV[2] * 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- The clock may have been put back, or be that of another server since a failover. What is a day ahead is no time of ours.
local ahead = (tonumber(redis.call('LINDEX', KEYS[2], 0) or 0) or 0) - now
if ahead >= 0 and ahead < 86400000000 then now = now + ahead + 1 end
local function reply(wait, is_limit) return {wait, is_limit, now} end
if not redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[4]) then
  return reply(math.max(1, redis.call('PTTL', KEYS[1])), 0)
end
local oldest = redis.call('LINDEX', KEYS[2], amount - 1)
if oldest and now - oldest < period then
  redis.call('DEL', KEYS[1])
  return reply(math.ceil((oldest + period - now) / 1000), 1)
end
redis.call('LPUSH', KEYS[2], string.format('%.0f', now))
redis.call('LTRIM', KEYS[2], 0, amount - 1)
redis.call('PEXPIRE', KEYS[2], period / 1000 + 1)
return reply(0, 0)
