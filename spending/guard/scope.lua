-- May an SMS go to this scope, a country or a prefix? Counts it if so.
--
-- KEYS[1]  hash: s or v (sent, and of these verified), m, h or d (minute, hour, day) and the number of that time since
--          1970, so sm29890000; and while the scope is full `until`, `why`, and the `allowance` that it was judged by.
-- ARGV     now, region, allowance (JSON), 1 to count it in any case
-- Answers  {1 if it was counted, seconds until there is room, why there is none or ''}
local key, now, allowed, anyway = KEYS[1], tonumber(ARGV[1]), cjson.decode(ARGV[3]), ARGV[4] == '1'
local LENGTH = {m = 60, h = 3600, d = 86400}
local KEPT = {m = 60, h = 24, d = 14}
local RECENT = 5 -- minutes: of those who verify a send, nearly all have by then

local entries = {}

local function read()
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local kind, unit, number = string.match(fields[i], '^([sv])([mhd])(%d+)$')
    if kind and math.floor(now / LENGTH[unit]) - number >= KEPT[unit] then
      redis.call('HDEL', key, fields[i])
    elseif kind then
      table.insert(entries, {kind = kind, unit = unit, number = tonumber(number), n = tonumber(fields[i + 1])})
    end
  end
end

-- What entries of a unit add up to, of ages from..to: how many were sent, how many of these verified, the best verified.
local function sum(unit, at, from, to)
  local sent, verified, best = 0, 0, 0
  for _, entry in ipairs(entries) do
    local age = math.floor(at / LENGTH[unit]) - entry.number
    if entry.unit == unit and age >= from and age <= to then
      if entry.kind == 's' then sent = sent + entry.n else
        verified, best = verified + entry.n, math.max(best, entry.n)
      end
    end
  end
  return sent - verified, verified, best
end

-- Why there is no room at the time `at`, if nothing else happens until then; nil where there is room.
local function full(at)
  local pending = sum('m', at, 0, allowed.grace)
  local hour = sum('m', at, allowed.grace + 1, KEPT.m - 1)
  local _, verified_hour = sum('m', at, 0, KEPT.m - 1)
  local _, verified_now = sum('m', at, 0, RECENT)
  local day, verified_day = sum('h', at, 0, KEPT.h - 1)
  local days, verified_days, best_day = sum('d', at, 0, KEPT.d - 1)
  local before, verified_before = sum('d', at, 1, KEPT.d - 1)
  -- What earlier days left unverified beyond what they verified makes this one's budgets smaller.
  local function less(budget, owed) return math.max(allowed.least, budget - math.max(0, owed)) end

  if hour >= less(allowed.hour, before - verified_before) + allowed.ratio * verified_hour then return 'hour' end
  if allowed.day and day - pending >= less(allowed.day, before - verified_before)
      + allowed.ratio * math.max(verified_day, best_day) then return 'day' end
  local over = math.max(0, hour - allowed.ratio * verified_hour)
  if pending + over >= less(allowed.pending, days - pending - verified_days)
      + allowed.follow * verified_now then return 'pending' end
end

-- The first minute within the hour, or else the first hour, at which there is room.
local function room()
  for _, step in ipairs({{60, KEPT.m}, {3600, KEPT.h}}) do
    for n = 1, step[2] + 1 do
      local at = (math.floor(now / step[1]) + n) * step[1]
      if not full(at) then return at end
    end
  end
  return now + LENGTH.d
end

local function keep()
  redis.call('EXPIRE', key, allowed.day and KEPT.d * LENGTH.d or KEPT.m * LENGTH.m)
end

local function judge()
  local known = redis.call('HMGET', key, 'until', 'why', 'allowance')
  if known[1] and known[3] == ARGV[3] and tonumber(known[1]) > now then return known[2], tonumber(known[1]) end
  read()
  local why = full(now)
  if not why then return nil end
  local at = room()
  redis.call('HSET', key, 'until', at, 'why', why, 'allowance', ARGV[3])
  keep()
  return why, at
end

local why, at = judge()
if why and not anyway then return {0, math.ceil(at - now), why} end
for unit, length in pairs(LENGTH) do
  if unit == 'm' or allowed.day then redis.call('HINCRBY', key, 's' .. unit .. math.floor(now / length), 1) end
end
keep()
return {1, 0, why or ''}
