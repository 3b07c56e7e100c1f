-- What was sent in a minute, an hour or a day: its number since 1970, how many were sent in it, and how many of these
-- verified. Each takes 28 characters, so that one changes without the others, and all are read as the inside of one list
-- in JSON; the newest is the first.
local WIDTH = 28

local function entry(number, sent, verified)
  return string.format('%9d,%8d,%8d,', number, sent, verified)
end

local function number_of(text, at)
  return tonumber(string.sub(text, at, at + 8))
end

local function sent_and_verified(text, at)
  return tonumber(string.sub(text, at + 10, at + 17)), tonumber(string.sub(text, at + 19, at + 26))
end
