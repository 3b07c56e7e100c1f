-- May this address send to one more country? Counts it if so.
-- KEYS[1]  hash: a region and its unverified sends; `verified`, how many were; and while it is full `until` and `why`
-- ARGV     now, region, allowance (JSON), 1 to count it in any case
-- Answers  as scope.lua does
local DAY = 86400
local allowed, countries, verified = cjson.decode(ARGV[3]), 0, 0 -- countries beside this one
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i] == 'verified' then verified = tonumber(fields[i + 1])
  elseif fields[i] ~= ARGV[2] and fields[i] ~= 'until' and fields[i] ~= 'why' then countries = countries + 1 end
end
local why, left = '', redis.call('TTL', KEYS[1])
if countries >= allowed.countries + verified then
  why = 'countries'
  redis.call('HSET', KEYS[1], 'until', ARGV[1] + math.max(left, 0), 'why', why)
end
if why == '' or ARGV[4] == '1' then redis.call('HINCRBY', KEYS[1], ARGV[2], 1) end
if left < 0 then redis.call('EXPIRE', KEYS[1], DAY) end
return {(why == '' or ARGV[4] == '1') and 1 or 0, left < 0 and DAY or left, why}
