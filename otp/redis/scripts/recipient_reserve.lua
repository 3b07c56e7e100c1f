-- May this recipient get a message now? Takes the cooldown and counts, as one decision: a request during the cooldown is
-- never counted. One requester may take only a share of each window, unless it verified the recipient lately. Each window
-- is exact to the microsecond. A recipient that was verified lately is never locked out for longer than the longest
-- lock-out: another message may be sent that long after its last one. For the requester that verified it, that is the last
-- one of its own (or of its IPv6 /48), so that it does not wait for the sends of others. If the clock is set back, the
-- lock-out may begin anew.
-- KEYS     [1] the cooldown: the id of the reservation that holds it; [2] list of the times of the recipient's sends
--          (microseconds since 1970), the newest first; [3] the same of those that this requester asked for; [4] the
--          fingerprint of the requester that verified the recipient lately
-- ARGV     the id of the reservation, the cooldown (ms), the requester's fingerprint, the longest lock-out (s), then for
--          each window: sends, sends of one requester, the period (s)
-- Reply    {ms to wait, 0 if it may; 0 for the cooldown, 1 for the limit, 2 for the requester's share; the time
--          (microseconds), later than that of the send before; the fingerprint of that requester or ''}
local FIRST_WINDOW = 5
local function newest(key) return tonumber(redis.call('LINDEX', key, 0) or 0) or 0 end

local last, own_last, trusted_by = newest(KEYS[2]), newest(KEYS[3]), redis.call('GET', KEYS[4])
local is_trusted = trusted_by == ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- The clock may have been set back, or be another server's since a failover. A time a day ahead was not written here.
local ahead = last - now
if ahead >= 0 and ahead < 86400000000 then now = now + ahead + 1 end

local function reply(wait, rule) return {wait, rule, now, trusted_by or ''} end

-- The time until each of the windows has room; `amount` is the place of its number of sends.
local function wait_for(key, amount, since)
  local wait = 0
  for i = FIRST_WINDOW, #ARGV, 3 do
    local at = redis.call('LINDEX', key, ARGV[i + amount] - 1)
    if at then wait = math.max(wait, math.min(at, now) + ARGV[i + 2] * 1000000 - now) end
  end
  return trusted_by and math.min(wait, since + ARGV[4] * 1000000 - now) or wait
end

-- Keeps one more than the window's amount: a send in excess of it may be released, and must not remove the oldest.
local function count(key)
  local amount, period = 0, 0
  for i = FIRST_WINDOW, #ARGV, 3 do
    amount, period = math.max(amount, ARGV[i]), math.max(period, ARGV[i + 2])
  end
  redis.call('LPUSH', key, string.format('%.0f', now))
  redis.call('LTRIM', key, 0, amount)
  redis.call('PEXPIRE', key, period * 1000 + 1)
end

if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return reply(math.max(1, redis.call('PTTL', KEYS[1])), 0)
end
local of_all = wait_for(KEYS[2], 0, is_trusted and own_last or last)
local of_share = is_trusted and 0 or wait_for(KEYS[3], 1, own_last)
if of_all > 0 or of_share > 0 then
  redis.call('DEL', KEYS[1])
  return reply(math.ceil(math.max(of_all, of_share) / 1000), of_all > 0 and 1 or 2)
end
count(KEYS[2])
count(KEYS[3])
return reply(0, 0)
