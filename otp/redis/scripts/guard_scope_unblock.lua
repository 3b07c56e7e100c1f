-- Forgets the unverified sends, and keeps the verified ones.
-- KEYS[1]  as in guard_scope_reserve.lua
-- Reply    1 if there were any, else 0
local unblocked = redis.call('HDEL', KEYS[1], 'until')
for _, field in ipairs({'minutes', 'hours', 'days'}) do
  local text = redis.call('HGET', KEYS[1], field)
  if text then
    local forgiven = string.gsub(text, '(.........),........,(........),', '%1,%2,%2,')
    if forgiven ~= text then unblocked = 1 end
    redis.call('HSET', KEYS[1], field, forgiven)
  end
end
redis.call('HDEL', KEYS[1], 'why', 'judged', 'allowance')
return unblocked
