-- Records that a counted send was 'verified', or is 'released'. Does nothing if the send is no longer kept.
-- KEYS[1]  as in guard_scope_reserve.lua
-- ARGV     when it was counted, region, result
-- Reply    nothing
-- include guard_entries
local function change(field, number)
  local text = redis.call('HGET', KEYS[1], field) or ''
  for at = 1, #text, WIDTH do
    if number_of(text, at) == number then
      local sent, verified = sent_and_verified(text, at)
      if sent <= verified then return end
      if ARGV[3] == 'verified' then verified = verified + 1 else sent = sent - 1 end
      local new = entry(number, sent, verified)
      redis.call('HSET', KEYS[1], field, string.sub(text, 1, at - 1) .. new .. string.sub(text, at + WIDTH))
      return
    end
  end
end
change('minutes', math.floor(ARGV[1] / 60))
change('hours', math.floor(ARGV[1] / 3600))
change('days', math.floor(ARGV[1] / 86400))
