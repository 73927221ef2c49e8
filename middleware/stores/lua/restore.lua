-- restore: take over records that another store has kept, where what is here is not newer, nor held.
-- KEYS  1 fence counter, 2 index of open keys, then each record
-- ARGV  1 length of what precedes the digest in a record's name, 2 the other store's highest fence, then for each its
--       text, when it expires in ms, when it has changed in ms, "1" if its key is open
-- Returns the numbers of those that were left out: they have expired, or what is here stays. Can be repeated.
-- Atomic, so that nobody claims a key between the look at it and its change.
local clock, refused = redis.call('TIME'), {}
local us = clock[1] * 1000000 + clock[2]
local now, fence = math.floor(us / 1000), math.max(tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[2]))
for i = 1, #KEYS - 2 do
  local name, at = KEYS[i + 2], 4 * i - 1
  local expires, there = tonumber(ARGV[at + 1]), redis.call('GET', name)
  local stays = expires <= now
  if there and not stays then
    local record = cjson.decode(there)
    stays = record.changed >= tonumber(ARGV[at + 2]) or record.state == 'running' and now < record['until']
  end
  if stays then refused[#refused + 1] = i
  else
    redis.call('SET', name, ARGV[at], 'PXAT', ARGV[at + 1])
    local digest = string.sub(name, ARGV[1] + 1)
    if ARGV[at + 3] == '1' then redis.call('ZADD', KEYS[2], expires * 1000 + i, digest)
    else redis.call('ZREM', KEYS[2], digest) end
  end
end
redis.call('SET', KEYS[1], string.format('%d', fence))
return refused
