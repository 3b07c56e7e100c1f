-- May this address send to one more country? Counts the send if so.
-- KEYS[1]  hash: a region and its unverified sends; `verified`, how many were; and while it is full `until` and `why`
-- ARGV     now, region, allowance (JSON), mode as in guard_scope_reserve.lua
-- Reply    as in guard_scope_reserve.lua
local DAY = 86400
local allowed, block = cjson.decode(ARGV[3]), ARGV[4] == 'block'
local known = redis.call('HMGET', KEYS[1], ARGV[2], 'verified', 'until', 'why')
local countries = redis.call('HLEN', KEYS[1]) -- without this one; an address may have all 250, so their fields are not read
for i = 1, 4 do countries = countries - (known[i] and 1 or 0) end
local why, left = '', redis.call('TTL', KEYS[1])
if countries >= allowed.countries + tonumber(known[2] or 0) then
  why = 'countries'
  redis.call('HSET', KEYS[1], 'until', ARGV[1] + math.max(left, 0), 'why', why)
elseif known[3] then
  redis.call('HDEL', KEYS[1], 'until', 'why')
end
local counted = why == '' or not block
if counted then redis.call('HINCRBY', KEYS[1], ARGV[2], 1) end
if left < 0 then redis.call('EXPIRE', KEYS[1], DAY) end
return {counted and 1 or 0, left < 0 and DAY or left, why}
