-- Forgets the unverified sends, and keeps the verified ones.
-- KEYS[1]  as in guard_scope_reserve.lua
-- Reply    1 if there were any, else 0
-- include guard_entries
local unblocked = redis.call('HDEL', KEYS[1], 'until')
for _, field in ipairs({'minutes', 'hours', 'days'}) do
  local text = redis.call('HGET', KEYS[1], field)
  if text then
    local forgiven = ''
    for at = 1, #text, WIDTH do
      local _, verified = sent_and_verified(text, at)
      forgiven = forgiven .. entry(number_of(text, at), verified, verified)
    end
    if forgiven ~= text then unblocked = 1 end
    redis.call('HSET', KEYS[1], field, forgiven)
  end
end
redis.call('HDEL', KEYS[1], 'why', 'judged', 'allowance')
return unblocked
