-- Finds the PIN that a request is about. To `guess` also counts one, before Infobip judges it.
-- KEYS     [1] hash of the recipient's PINs, as in pin_save.lua; [2] its cooldown; [3] list of the times of its failures
--          (microseconds since 1970), the newest first; [4] who verified it lately, if anybody did
-- ARGV     purpose (guess, resend), client, hash of a verification id or '', requester or '', guesses that a PIN has,
--          failures in a period, the period (s)
-- Replies  {'found', pinId, number of this guess or of its messages before, its life (ms), its verification ids, the
--          address it was sent to or ''}; {'locked', ms until a guess may fail again}; {'none', ms of the cooldown}
local HOUR = 3600 * 1000000
local guess, client, id, requester, most = ARGV[1] == 'guess', ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local amount, period = tonumber(ARGV[6]), ARGV[7] * 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known, fields = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do known[fields[i]] = fields[i + 1] end
if known.pinId and not known.ends then known.ends = now / 1000 + redis.call('PTTL', KEYS[1]) end -- an older version's

-- Without an id it is the newest of the client's; by its id, each of them.
local function is_meant(pin)
  local ends, ids = tonumber(known[pin .. 'ends']), known[pin .. 'verification']
  if not known[pin .. 'pinId'] or not ends or ends * 1000 <= now or (known[pin .. 'client'] or '') ~= client then return end
  if id == '' and known[pin .. 'older'] or id ~= '' and not (ids and string.find(ids, id, 1, true)) then return end
  return requester == '' or known[pin .. 'requester'] == requester
end

-- Until a guess may fail again. Who verified the recipient lately is never locked out for longer than an hour.
local function lock()
  local oldest = tonumber(redis.call('LINDEX', KEYS[3], amount - 1) or nil)
  local left = oldest and math.min(period, oldest + period - now) or 0 -- a clock may be put back
  if left > 0 and redis.call('EXISTS', KEYS[4]) == 1 then
    left = math.min(left, redis.call('LINDEX', KEYS[3], 0) + HOUR - now)
  end
  return left
end

local function count(pin)
  redis.call('LPUSH', KEYS[3], string.format('%.0f', now))
  redis.call('LTRIM', KEYS[3], 0, amount - 1)
  redis.call('PEXPIRE', KEYS[3], period / 1000 + 1)
  return redis.call('HINCRBY', KEYS[1], pin .. 'attempts', 1)
end

for _, pin in ipairs({'', '2:', '3:'}) do
  if is_meant(pin) and tonumber(known[pin .. 'attempts'] or 0) < most then
    local number = tonumber(known[pin .. 'again'] or 0)
    if guess then
      local left = lock()
      if left > 0 then return {'locked', math.ceil(left / 1000)} end
      number = count(pin)
    end
    local life = math.floor(known[pin .. 'ends'] - now / 1000)
    return {'found', known[pin .. 'pinId'], number, life, known[pin .. 'verification'] or '', known[pin .. 'to'] or ''}
  end
end
return {'none', math.max(0, redis.call('PTTL', KEYS[2]))}
