-- Gives back what was taken from a window, or from two, unless that happened too often in their period. It is one step, so
-- that only what was counted is given back.
--
-- KEYS     one or two windows of `window_take`, then for each the list of times when it gave one back (microseconds since
--          1970), the newest first; at most the maximum
-- ARGV     when it was taken (microseconds), period (seconds), for each window: how often it gives back in a period
-- Reply    1 if it was given back
local SEARCHED = 1024 -- if a window has taken more since, nothing is given back: to search 100,000 took 1.5 ms
local windows, time = #KEYS / 2, redis.call('TIME')
local now, period = time[1] * 1000000 + time[2], ARGV[2] * 1000000

for n = 1, windows do
  local at = redis.call('LINDEX', KEYS[windows + n], ARGV[2 + n] - 1)
  if at and now - at < period then return 0 end
  if not redis.call('LPOS', KEYS[n], ARGV[1], 'MAXLEN', SEARCHED) then return 0 end
end
for n = 1, windows do
  local given_back = KEYS[windows + n]
  redis.call('LPUSH', given_back, string.format('%.0f', now))
  redis.call('LTRIM', given_back, 0, ARGV[2 + n] - 1)
  redis.call('PEXPIRE', given_back, period / 1000 + 1)
  redis.call('LREM', KEYS[n], 1, ARGV[1])
end
return 1
