-- beat: keep what a process tells of itself, and say what is wanted of it.
-- KEYS  1 when each was heard of, 2 what each has told, 3 there while reports are watched, 4 while events are followed
-- ARGV  1 the process, 2 what it tells, 3 how long that is kept, in ms, 4 how many processes are kept
-- Returns [whether reports are watched, whether events are followed], each 1 or 0.
-- Atomic, so that what a process has told goes with the time at which it has. All of it expires with the last of them.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3], 'LIMIT', 0, 100)
for _, each in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1 - ARGV[4])) do gone[#gone + 1] = each end
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[2], unpack(gone))
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {redis.call('EXISTS', KEYS[3]), redis.call('EXISTS', KEYS[4])}
