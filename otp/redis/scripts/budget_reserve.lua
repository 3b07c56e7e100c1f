-- Does the price fit into the budget of the period? Adds it if so. `peak` is the highest amount that was spent or
-- requested, so that each threshold is crossed once in a period, whatever is released and spent again.
-- KEYS[1]  hash of spent and peak, in millionths
-- ARGV     budget, price, how long the hash lives (s)
-- Reply    {1 if it fits, the peak before, the peak now, what is spent now}
local budget, price = tonumber(ARGV[1]), tonumber(ARGV[2])
local spent = tonumber(redis.call('HGET', KEYS[1], 'spent') or 0)
local peak = tonumber(redis.call('HGET', KEYS[1], 'peak') or 0)
local fits = spent + price <= budget
if fits then redis.call('HINCRBY', KEYS[1], 'spent', ARGV[2]) end
local now = math.max(peak, fits and spent + price or budget)
redis.call('HSET', KEYS[1], 'peak', now)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {fits and 1 or 0, peak, now, fits and spent + price or spent}
