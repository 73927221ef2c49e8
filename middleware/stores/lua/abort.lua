-- abort: note that a message is to be aborted, unless it has ended.
-- KEYS  1 notes, 2 fence counter, then the records of the keys that the message may hold
-- ARGV  1 message id, 2 how long notes are kept in ms, 3 how many at most
-- Returns "running", "waiting", "ended" or "unknown", by the first record that is the message's.
-- Atomic, so that no attempt begins or ends between the look at its record and the note. A note's number is a fence:
-- who has a higher one has begun after it.
local clock, found = redis.call('TIME'), 'unknown'
local us = clock[1] * 1000000 + clock[2]
local now = math.floor(us / 1000)
for i = 3, #KEYS do
  local text = redis.call('GET', KEYS[i])
  local record = text and cjson.decode(text)
  if record and record.owner == ARGV[1] and record.state ~= 'released' then
    local state = record.state
    found = state == 'running' and now < record['until'] and state
      or (state == 'running' or state == 'waiting') and 'waiting' or 'ended'
    break
  end
end
if found ~= 'ended' then
  local number = string.format('%d', math.max(tonumber(redis.call('GET', KEYS[2]) or 0), us) + 1)
  redis.call('SET', KEYS[2], number)
  redis.call('ZADD', KEYS[1], number, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', us - ARGV[2] * 1000))
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return found
