-- Forgives what is unverified, and keeps what was verified.
-- KEYS[1]  as in scope.lua
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local time = string.match(fields[i], '^s([mhd]%d+)$')
  if time then redis.call('HSET', KEYS[1], fields[i], redis.call('HGET', KEYS[1], 'v' .. time) or 0) end
end
redis.call('HDEL', KEYS[1], 'until')
