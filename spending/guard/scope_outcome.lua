-- A send that was counted turned out to be 'verified', or is 'undone'. Nothing happens where it is forgotten already.
-- KEYS[1]  as in scope.lua        ARGV  when it was counted, region, outcome
for unit, length in pairs({m = 60, h = 3600, d = 86400}) do
  local number = math.floor(tonumber(ARGV[1]) / length)
  local sent, verified = 's' .. unit .. number, 'v' .. unit .. number
  local counts = redis.call('HMGET', KEYS[1], sent, verified)
  if tonumber(counts[1] or 0) > tonumber(counts[2] or 0) then
    if ARGV[3] == 'verified' then redis.call('HINCRBY', KEYS[1], verified, 1) else redis.call('HINCRBY', KEYS[1], sent, -1) end
  end
end
redis.call('HDEL', KEYS[1], 'until')
