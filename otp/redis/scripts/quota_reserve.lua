-- May one more message be sent? Counts it if so: at most the amount in every window, in constant memory. A message leaves
-- the count with its sixtieth of the period, so up to 1.7 % of the period late, and never early.
--
-- KEYS[1]  hash: the number of a sixtieth since 1970 and how many were counted in it; `sum` of all of these, `newest`,
--          the last of them; and once it was full, `room`: when there is room again (microseconds since 1970)
-- ARGV     amount, period (seconds)
-- Reply    {1 if counted, the sixtieth, milliseconds until there is room}
local PARTS = 60
local key, amount, period = KEYS[1], tonumber(ARGV[1]), ARGV[2] * 1000000
local part = period / PARTS
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', key, 'sum', 'newest', 'room')
local sum, newest, room = tonumber(known[1] or 0), tonumber(known[2] or 0), tonumber(known[3] or 0)
local number = math.max(newest, math.floor(now / part)) -- a clock that was set back frees nothing

local function name(one) return string.format('%.0f', one) end

-- Removes the sixtieths that have left the window since the newest was counted.
local function move_on()
  if number - newest > PARTS then
    redis.call('DEL', key)
    sum = 0
    return
  end
  local over = {}
  for one = newest - PARTS, number - PARTS - 1 do over[#over + 1] = name(one) end
  for _, n in ipairs(redis.call('HMGET', key, unpack(over))) do sum = sum - (n or 0) end
  redis.call('HDEL', key, 'room', unpack(over))
  redis.call('HSET', key, 'sum', sum, 'newest', name(number))
end

local function find_room()
  local fields, counts, left = redis.call('HGETALL', key), {}, sum
  for i = 1, #fields, 2 do counts[fields[i]] = fields[i + 1] end
  for one = number - PARTS, number do
    left = left - (counts[name(one)] or 0)
    if left < amount then return math.ceil((one + PARTS + 1) * part) end
  end
end

if number > newest then move_on() end
if sum >= amount then
  if room <= now then
    room = find_room()
    redis.call('HSET', key, 'room', name(room))
  end
  return {0, number, math.ceil((room - now) / 1000)}
end
redis.call('HINCRBY', key, name(number), 1)
redis.call('HSET', key, 'sum', sum + 1, 'newest', name(number))
redis.call('PEXPIRE', key, math.ceil((period + part) / 1000))
return {1, number, 0}
