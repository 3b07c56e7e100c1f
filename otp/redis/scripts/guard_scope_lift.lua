-- Forgives what is unverified, and keeps what was verified.
-- KEYS[1]  as in guard_scope.lua
-- Reply    nothing
for _, field in ipairs({'minutes', 'hours', 'days'}) do
  local text = redis.call('HGET', KEYS[1], field)
  if text then redis.call('HSET', KEYS[1], field, (string.gsub(text, '(.........),........,(........),', '%1,%2,%2,'))) end
end
redis.call('HDEL', KEYS[1], 'until', 'why', 'judged', 'allowance')
