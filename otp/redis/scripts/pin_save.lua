-- Stores the PIN that was just sent, with two others at most. Harmless when it runs twice or late: it neither replaces a
-- newer PIN nor revives a used one.
-- KEYS[1]  hash of the recipient's PINs, as in pin_fields.lua
-- ARGV     lifetime (ms), order (Redis' time of the send's reservation, microseconds), client, then fields and values
-- Reply    {1 if it was saved, now or before, the verification ids of the PIN that it replaced, or ''}
-- include pin_fields
local life, order, client = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
local known, fields = {}, redis.pcall('HGETALL', KEYS[1])
if fields.err then -- another program has written there
  redis.call('DEL', KEYS[1])
  fields = {}
end
for i = 1, #fields, 2 do known[fields[i]] = fields[i + 1] end

local function lives(place) return tonumber(known[place .. 'ends'] or 0) > now end
local function order_of(place) return lives(place) and tonumber(known[place .. 'order']) or 0 end
local function is_own(place) return lives(place) and (known[place .. 'client'] or '') == client end

local pins, own, others = {}, {}, {} -- PINs that can be verified, those of the client, and the other places
for _, place in ipairs(PLACES) do
  if order_of(place) == order then return {1, ''} end
  local is_pin = lives(place) and known[place .. 'pinId'] and not is_gone(known[place .. 'gone'], known[place .. 'order'])
  table.insert(is_pin and pins or others, place)
  if is_pin and is_own(place) then table.insert(own, place) end
end
-- If three live, the oldest is replaced; a client that has two of them loses one of its own.
local may_go = #pins < MOST and others or #own > 1 and own or pins
table.sort(may_go, function(one, other) return order_of(one) < order_of(other) end)
local place, last = may_go[1], now + life
if order_of(place) > order then return {0, ''} end

local gone = lives(place) and known[place .. 'pinId'] and known[place .. 'verification'] or ''
local values = {'ends', string.format('%.0f', now + life), 'order', ARGV[2], 'attempts', 0}
for i = 4, #ARGV do values[#values + 1] = ARGV[i] end
if client ~= '' then values[#values + 1], values[#values + 2] = 'client', client end
clear(place)
redis.call('HDEL', KEYS[1], place .. 'client')
for i = 1, #values, 2 do values[i] = place .. values[i] end
redis.call('HSET', KEYS[1], unpack(values))
for _, other in ipairs(PLACES) do
  if other ~= place and lives(other) then
    last = math.max(last, known[other .. 'ends'])
    if is_own(other) then
      redis.call('HSET', KEYS[1], (order_of(other) < order and other or place) .. 'older', 1)
    end
  end
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
return {1, gone}
