-- May an SMS go to this scope, a country or a prefix? Counts it if so. While there is no room, the scope is judged at
-- most once a second. Takes 0.1 ms at most, whatever the counts: `python -m tools.bench_scripts` shows it.
--
-- KEYS[1]  hash: `minutes`, and of a country `hours` and `days`: each as in guard_entries.lua.
--          And while the scope is full: `until`, `why`, when it was `judged`, and by which `allowance`.
-- ARGV     now, region, allowance (JSON), mode: `block`; `monitor` counts it in any case; `force` counts it without judging
-- Reply    {1 if it was counted, seconds until there is room, the reason or '' if there is room}
-- include guard_entries
local key, now, mode = KEYS[1], tonumber(ARGV[1]), ARGV[4]
local allowed = cjson.decode(ARGV[3])
local HOUR, DAY = 3600, 86400
local MINUTES, HOURS, DAYS = 60, 24, 14 -- how many are kept
local RECENT = 5 -- minutes: nearly all verifications happen within them
local MINUTE_NOW, HOUR_NOW, DAY_NOW = math.floor(now / 60), math.floor(now / HOUR), math.floor(now / DAY)

local function keep()
  redis.call('EXPIRE', key, allowed.day and DAYS * DAY or HOUR)
end

local function list(text)
  return text and cjson.decode('[' .. text .. '0]') or {}
end

-- Reduces a budget of today by what earlier days left unverified in excess of what they verified.
local function less(budget, owed)
  if owed > 0 then budget = budget - owed end
  return budget < allowed.least and allowed.least or budget
end

-- Two tables by age: how many are unverified, and how many verified. An age without sends has no entry.
local function by_age(entries, number, kept)
  local unverified, verified = {}, {}
  for i = 1, #entries - 1, 3 do
    local age = number - entries[i]
    if age >= 0 and age < kept then unverified[age], verified[age] = entries[i + 1] - entries[i + 2], entries[i + 2] end
  end
  return unverified, verified
end

-- The reason why there is no room (nil if there is room), and when there will be, if nothing else happens until then.
local function judge()
  local grace, counts = allowed.grace, redis.call('HMGET', key, 'minutes', 'hours', 'days')
  local minutes, hours, days = list(counts[1]), list(counts[2]), list(counts[3])
  local pending, hour, verified_hour, verified_now = 0, 0, 0, 0
  for i = 1, #minutes - 1, 3 do
    local age, verified = MINUTE_NOW - minutes[i], minutes[i + 2]
    if age >= 0 and age < MINUTES then
      verified_hour = verified_hour + verified
      if age <= RECENT then verified_now = verified_now + verified end
      if age <= grace then pending = pending + minutes[i + 1] - verified else hour = hour + minutes[i + 1] - verified end
    end
  end
  local day, verified_day = 0, 0
  for i = 1, #hours - 1, 3 do
    local age = HOUR_NOW - hours[i]
    if age >= 0 and age < HOURS then day, verified_day = day + hours[i + 1] - hours[i + 2], verified_day + hours[i + 2] end
  end
  -- Of days: what was left unverified in excess of what was verified.
  local all_days, best_day, today = 0, 0, 0
  for i = 1, #days - 1, 3 do
    local age, verified = DAY_NOW - days[i], days[i + 2]
    if age >= 0 and age < DAYS then
      local owed = days[i + 1] - 2 * verified
      all_days = all_days + owed
      if verified > best_day then best_day = verified end
      if age == 0 then today = owed end
    end
  end
  local hour_budget, day_budget = less(allowed.hour, all_days - today)
  if allowed.day then day_budget = less(allowed.day, all_days - today) end

  local function full()
    local over = hour - allowed.ratio * verified_hour
    if over >= hour_budget then return 'hour' end
    if day_budget and day - pending >= day_budget + allowed.ratio * math.max(verified_day, best_day) then return 'day' end
    local owed = all_days - pending
    if pending + math.max(0, over) >= less(allowed.pending, owed) + allowed.follow * verified_now then return 'pending' end
  end

  local why = full()
  if not why then return end

  -- From here on the clock is moved forward, and each step removes only what is too old by then.
  local minute, minute_verified = by_age(minutes, MINUTE_NOW, MINUTES)
  local hourly, hourly_verified = by_age(hours, HOUR_NOW, HOURS)
  local daily, daily_verified = by_age(days, DAY_NOW, DAYS)
  local function begin_day(later)
    all_days, best_day = 0, 0
    for age = 0, DAYS - 1 - later do
      if daily[age] then
        all_days = all_days + daily[age] - daily_verified[age]
        best_day = math.max(best_day, daily_verified[age])
      end
    end
    hour_budget, day_budget = less(allowed.hour, all_days), allowed.day and less(allowed.day, all_days)
  end
  local function begin_hour(number)
    local left = HOURS - (number - HOUR_NOW)
    if hourly[left] then day, verified_day = day - hourly[left], verified_day - hourly_verified[left] end
    if number % 24 == 0 then begin_day(number / 24 - DAY_NOW) end
  end
  for later = 1, MINUTES do
    local graceful, left, recent = minute[grace + 1 - later], MINUTES - later, minute_verified[RECENT + 1 - later]
    if graceful then pending, hour = pending - graceful, hour + graceful end
    if minute[left] then hour, verified_hour = hour - minute[left], verified_hour - minute_verified[left] end
    if recent then verified_now = verified_now - recent end
    local number = MINUTE_NOW + later
    if number % 60 == 0 then begin_hour(number / 60) end
    if not full() then return why, number * 60 end
  end
  for number = math.floor((MINUTE_NOW + MINUTES) / 60) + 1, HOUR_NOW + HOURS + 1 do -- the day alone is full by now
    begin_hour(number)
    if not full() then return why, number * HOUR end
  end
  return why, now + DAY
end

local function verdict()
  local why, at = judge()
  if why then
    redis.call('HSET', key, 'until', at, 'why', why, 'judged', now, 'allowance', ARGV[3])
    keep()
  else
    redis.call('HDEL', key, 'until', 'why', 'judged', 'allowance')
  end
  return why, at
end

local function last_verdict()
  local known = redis.call('HMGET', key, 'until', 'why', 'judged', 'allowance')
  local at, judged = tonumber(known[1] or 0), tonumber(known[3] or 0)
  if at > now and math.abs(now - judged) < 1 and known[4] == ARGV[3] then return known[2], at end
end

-- Where the entry of this number is, or would be; and how many were sent and verified, if it is there.
local function find(text, number)
  for at = 1, #text, WIDTH do
    local one = number_of(text, at)
    if one == number then
      return at, sent_and_verified(text, at)
    elseif one < number then
      return at
    end
  end
  return #text + 1
end

-- Removes at most two old entries, so that no call takes long; where clocks differ, some are newer than this one.
local function trim(text, number, kept)
  for _ = 1, 2 do
    if number_of(text, #text - WIDTH + 1) <= number - kept then text = string.sub(text, 1, -WIDTH - 1) end
  end
  return string.sub(text, 1, 2 * kept * WIDTH)
end

local function count(field, number, kept)
  local text = redis.call('HGET', key, field) or ''
  local at, sent, verified = find(text, number)
  local new = entry(number, (sent or 0) + 1, verified or 0)
  text = string.sub(text, 1, at - 1) .. new .. string.sub(text, sent and at + WIDTH or at)
  redis.call('HSET', key, field, sent and text or trim(text, number, kept))
end

local why, at
if mode ~= 'force' then
  why, at = last_verdict()
  if not why then why, at = verdict() end
end
if why and mode == 'block' then return {0, math.ceil(at - now), why} end
count('minutes', MINUTE_NOW, MINUTES)
if allowed.day then
  count('hours', HOUR_NOW, HOURS)
  count('days', DAY_NOW, DAYS)
end
keep()
return {1, 0, why or ''}
