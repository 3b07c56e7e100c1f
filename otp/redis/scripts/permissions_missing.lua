-- Which of these commands may the connection's user not run on a key like this one?
-- KEYS[1]  a key, which is never written
-- ARGV     names of commands
-- Reply    {their names}; {} if Redis is too old to say it (before 7)
local missing = {}
if not redis.acl_check_cmd then return missing end
for _, name in ipairs(ARGV) do
  local rest = string.find(name, '^eval') and {'1', KEYS[1]} or {} -- text, number of keys, key; all others begin with it
  if not redis.acl_check_cmd(name, KEYS[1], unpack(rest)) then missing[#missing + 1] = name end
end
return missing
