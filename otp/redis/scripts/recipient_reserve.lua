-- May this recipient get a message now? Takes the cooldown and counts, as one decision: whoever comes during the cooldown
-- is never counted against the limit.
-- KEYS     [1] the cooldown: the id of the reservation that holds it; [2] list of the times of the recipient's sends
-- ARGV     sends in a period, the period (s), the id of the reservation, the cooldown (ms)
-- Replies  {0, 0} if so; else {ms to wait, 1 if it is the limit}
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local amount, period = tonumber(ARGV[1]), tonumber(ARGV[2])
if not redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[4]) then
  return {math.max(1, redis.call('PTTL', KEYS[1])), 0}
end
local oldest = redis.call('LINDEX', KEYS[2], amount - 1)
if oldest and tonumber(oldest) >= now - period then
  redis.call('DEL', KEYS[1])
  return {math.max(1, (oldest + period - now) * 1000), 1}
end
redis.call('LPUSH', KEYS[2], now)
redis.call('LTRIM', KEYS[2], 0, amount - 1)
redis.call('EXPIRE', KEYS[2], period)
return {0, 0}
