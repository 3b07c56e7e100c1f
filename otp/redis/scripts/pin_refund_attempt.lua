-- Gives a guess back that Infobip did not judge.
-- KEYS     [1] hash of the recipient's PINs, as in pin_save.lua; [2] list of its failures
-- ARGV     pinId
for _, place in ipairs({'', '2:', '3:'}) do
  if redis.call('HGET', KEYS[1], place .. 'pinId') == ARGV[1] then
    redis.call('HINCRBY', KEYS[1], place .. 'attempts', -1)
    redis.call('LPOP', KEYS[2])
  end
end
