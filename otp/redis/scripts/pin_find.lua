-- Finds the PIN that a request is about. The step `guess` also counts a guess, before Infobip checks it.
-- KEYS     [1] hash of the recipient's PINs, as in pin_fields.lua; [2] list of the times of its failures (microseconds since
--          1970), the newest first; [3] the requester that verified it lately
-- ARGV     step (guess, resend), client, hash of a verification id or '', requester or '', guesses that a PIN has,
--          failures in a period, the period (s), the recipient's identity (lower case) and canonical form, the
--          purpose of the PIN ('' for one without, * for any)
-- Reply    {'found', pinId, number of this guess or of its messages before, its life (ms), its verification ids, the
--          identity it was sent to or '', the nonce of its send or ''}; {'locked'}; {'none'}
-- include pin_fields
local guess, client, id, requester, most = ARGV[1] == 'guess', ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local amount, period = tonumber(ARGV[6]), ARGV[7] * 1000000
local identity, canonical, purpose = ARGV[8], ARGV[9], ARGV[10]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known, fields = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do known[fields[i]] = fields[i + 1] end

-- Without an id the client's newest PIN is meant; with an id, the PIN with this id.
local function is_meant(pin)
  local ends, ids = tonumber(known[pin .. 'ends']), known[pin .. 'verification']
  if not known[pin .. 'pinId'] or not ends or ends * 1000 <= now or (known[pin .. 'client'] or '') ~= client then return end
  if is_gone(known[pin .. 'gone'], known[pin .. 'order']) then return end
  if string.lower(known[pin .. 'to'] or canonical) ~= identity then return end -- it was sent to another mailbox
  if purpose ~= '*' and (known[pin .. 'purpose'] or '') ~= purpose then return end -- it may not be used for this
  if id == '' and known[pin .. 'older'] or id ~= '' and not (ids and string.find(ids, id, 1, true)) then return end
  return requester == '' or known[pin .. 'requester'] == requester
end

-- Strangers can have a PIN sent, and fail at it. So a request with an id always has a first guess at its PIN, and a request
-- without an id has one if the recipient was verified lately.
local function is_locked(attempts)
  if attempts == 0 and (id ~= '' or redis.call('EXISTS', KEYS[3]) == 1) then return false end
  local oldest = redis.call('LINDEX', KEYS[2], amount - 1)
  local at = tonumber(oldest or nil)
  return oldest and (not at or now - at < period) -- a value that is not a time was written by another program
end

-- Keeps more failures than the limit, one for each PIN's first guess: so none is lost when the newest are refunded.
local function count(pin)
  redis.call('LPUSH', KEYS[2], string.format('%.0f', now))
  redis.call('LTRIM', KEYS[2], 0, amount + 2)
  redis.call('PEXPIRE', KEYS[2], period / 1000 + 1)
  return redis.call('HINCRBY', KEYS[1], pin .. 'attempts', 1)
end

for _, pin in ipairs(PLACES) do
  local attempts = tonumber(known[pin .. 'attempts'] or 0)
  if is_meant(pin) and attempts < most then
    if guess and is_locked(attempts) then return {'locked'} end
    local number = guess and count(pin) or tonumber(known[pin .. 'again'] or 0)
    local life, ids = math.floor(known[pin .. 'ends'] - now / 1000), known[pin .. 'verification'] or ''
    return {'found', known[pin .. 'pinId'], number, life, ids, known[pin .. 'to'] or '', known[pin .. 'nonce'] or ''}
  end
end
return {'none'}
