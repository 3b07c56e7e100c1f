-- Does a sliding window have room for one more? Takes it if so. Exact to the microsecond, at every moment.
-- Two windows must both have room; otherwise nothing is taken from either.
--
-- KEYS     one or two lists of the times when one was taken (microseconds since 1970), the newest first; at most the amount
-- ARGV     amount of the first, period of both (seconds), how many to take: 0 only looks; amount of the second
-- Reply    {1 if taken; for each: how many are left, microseconds until the next one leaves it; the time when it was
--          taken, as in the lists}
local SEARCHED = 1024 -- a call removes at most this many expired entries; if there are more, the window seems fuller
local amount, period, cost = tonumber(ARGV[1]), ARGV[2] * 1000000, tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Starts at the oldest, and doubles its steps until one is not over; then halves them.
local function forget_what_is_over(key)
  local function is_over(nth_oldest)
    local at = redis.call('LINDEX', key, -nth_oldest)
    return at and now - at >= period
  end
  local over, living = 1, 2
  while living <= SEARCHED and is_over(living) do over, living = living, living * 2 end
  while living <= SEARCHED and living - over > 1 do
    local middle = math.floor((over + living) / 2)
    if is_over(middle) then over = middle else living = middle end
  end
  redis.call('LTRIM', key, 0, -over - 1)
end

-- The number of entries, and the microseconds until the oldest leaves the window.
local function look(key)
  local oldest = redis.call('LINDEX', key, -1)
  if oldest and now - oldest >= period then
    forget_what_is_over(key)
    oldest = redis.call('LINDEX', key, -1)
  end
  return redis.call('LLEN', key), (oldest or now) + period - now
end

local function take(key)
  local n
  for _ = 1, cost do n = redis.call('LPUSH', key, string.format('%.0f', now)) end
  redis.call('PEXPIRE', key, period / 1000 + 1)
  return n
end

local key, other = KEYS[1], KEYS[2]
local n, wait = look(key)
local taken = n + cost <= amount
if not other then
  if taken and cost > 0 then n = take(key) end
  return {taken and 1 or 0, math.max(0, amount - n), wait, now}
end
local amount_of_other, m, wait_of_other = tonumber(ARGV[4]), look(other)
taken = taken and m + cost <= amount_of_other
if taken and cost > 0 then n, m = take(key), take(other) end
return {taken and 1 or 0, math.max(0, amount - n), wait, math.max(0, amount_of_other - m), wait_of_other, now}
