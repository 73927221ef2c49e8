-- stay: extend the leases of seats.
-- KEYS  each one's seats: the tokens of those that have one, by when their leases end in ms
-- ARGV  for each its token, its lease in ms, and the limit
-- Returns the numbers of those that are held no more, from 1: others have all seats.
-- Atomic, so that a seat can't be taken between the look at it and its extension. One that the store has lost comes
-- back while there is room.
local clock, refused = redis.call('TIME'), {}
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i, name in ipairs(KEYS) do
  local token, lease, limit = ARGV[3 * i - 2], ARGV[3 * i - 1], tonumber(ARGV[3 * i])
  redis.call('ZREMRANGEBYSCORE', name, '-inf', now)
  if redis.call('ZSCORE', name, token) or redis.call('ZCARD', name) < limit then
    redis.call('ZADD', name, now + lease, token)
    if redis.call('PTTL', name) < tonumber(lease) then redis.call('PEXPIRE', name, lease) end
  else refused[#refused + 1] = i end
end
return refused
