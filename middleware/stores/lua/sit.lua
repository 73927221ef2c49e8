-- sit: give a seat, or a place in the line of those that wait for one.
-- KEYS  1 seats: the tokens of those that have one, by when their leases end in ms, 2 line: the messages that wait, by
--       since when, 3 when each of those is to look again, 4 how long seats are held of late in ms
-- ARGV  1 message id, 2 token, 3 limit, 4 lease ms, 5 since how many ms the message waits, 6 grace ms, 7 first pace ms,
--       8 soonest ms, 9 latest ms of the head, and of the others the longest of: 10 ms, 11 ms for each that is before,
--       and the pace up to 12 ms
-- Returns {1 for a seat or 0, how many are before it, in how many ms to look again}. Can be repeated.
-- Atomic, so that two never take the last seat. All times are the server's. The rules are those of seats.py.
local clock, limit, lease = redis.call('TIME'), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function keep(name, ms) if redis.call('PTTL', name) < ms then redis.call('PEXPIRE', name, ms) end end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- Those that have not looked again in time stand in nobody's way; they find their place by their age.
local late = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[6], 'LIMIT', 0, 1000)
if #late > 0 then redis.call('ZREM', KEYS[2], unpack(late)) redis.call('ZREM', KEYS[3], unpack(late)) end
redis.call('ZADD', KEYS[2], 'NX', now - ARGV[5], ARGV[1])
local taken, ahead, head = redis.call('ZCARD', KEYS[1]), redis.call('ZRANK', KEYS[2], ARGV[1]), 2 * limit + 4
if redis.call('ZSCORE', KEYS[1], ARGV[2]) or taken < limit and (ahead < head or taken == 0) then
  redis.call('ZADD', KEYS[1], now + lease, ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  keep(KEYS[1], lease)
  return {1, ahead, 0}
end
local pace, behind = tonumber(redis.call('GET', KEYS[4]) or ARGV[7]), ahead - head + 1
local wish, latest = pace / 4, tonumber(ARGV[9])
if behind > 0 then
  wish, latest = 0.8 * pace * behind / limit, math.max(ARGV[10], ARGV[11] * ahead, math.min(pace, ARGV[12]))
end
local delay = math.floor(math.min(math.max(wish, ARGV[8]), latest))
redis.call('ZADD', KEYS[3], now + delay, ARGV[1])
keep(KEYS[2], delay + 2 * ARGV[6])
keep(KEYS[3], delay + 2 * ARGV[6])
return {0, ahead, delay}
