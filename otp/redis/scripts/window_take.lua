-- May one more be let through a window that slides? Takes it if so. Exact to the microsecond, in every window.
--
-- KEYS[1]  list: when each was taken (microseconds since 1970), the newest first; never more than the amount
-- ARGV     amount, period (seconds), how many to take: 0 only looks
-- Reply    {1 if taken, how many are left, microseconds until the next one that was taken leaves the window}
local SEARCHED = 1024 -- of a window that has more, at most as many leave it with each call, and what is left is less
local key, amount, period, cost = KEYS[1], tonumber(ARGV[1]), ARGV[2] * 1000000, tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local oldest = redis.call('LINDEX', key, -1)

local function is_over(nth_oldest)
  local at = redis.call('LINDEX', key, -nth_oldest)
  return at and now - at >= period
end

-- Begins at the oldest, and doubles its steps until one is not over; then halves them.
local function forget_what_is_over()
  local over, living = 1, 2
  while living <= SEARCHED and is_over(living) do over, living = living, living * 2 end
  while living <= SEARCHED and living - over > 1 do
    local middle = math.floor((over + living) / 2)
    if is_over(middle) then over = middle else living = middle end
  end
  redis.call('LTRIM', key, 0, -over - 1)
  oldest = redis.call('LINDEX', key, -1)
end

if oldest and now - oldest >= period then forget_what_is_over() end
local n = redis.call('LLEN', key)
local taken = n + cost <= amount
if taken and cost > 0 then
  for _ = 1, cost do n = redis.call('LPUSH', key, string.format('%.0f', now)) end
  redis.call('PEXPIRE', key, period / 1000 + 1)
end
return {taken and 1 or 0, math.max(0, amount - n), (oldest or now) + period - now}
