-- finish: record how claims ended, where they still hold.
-- KEYS  1 index of open keys, 2 notes of what is to be aborted, then each outcome's record
-- ARGV  1 length of what precedes the digest in a record's name, 2 JSON: kinds of outcomes [new state, ttl ms, due ms,
--       retries, lost where the record is gone, error as JSON, aborted], 3 JSON: the kind of each, then the fence of
--       each, and its fields that go into its record
-- Returns the numbers of those that do not count: another has taken the key over, or it is done. Can be repeated.
-- Atomic, so that a claim can't be taken over between the comparison and the change. Expired keys leave the index here.
local clock, kinds, kind_of = redis.call('TIME'), cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local us, refused, latest, open, shut = clock[1] * 1000000 + clock[2], {}, {}, {}, {}
local now, found, start = math.floor(us / 1000), redis.call('MGET', unpack(KEYS, 3)), ARGV[1] + 1
for i, kind in ipairs(kind_of) do
  local state, ttl, due, retries, lost, error, aborted = unpack(kinds[kind])
  local name, head = KEYS[i + 2], '{"fence":' .. ARGV[2 * i + 2] .. ','
  local text = latest[name] or found[i]
  local counts = not text or string.sub(text, 1, #head) == head
  if text and counts and state ~= 'done' then
    local record = cjson.decode(text)
    counts, lost = record.state ~= 'done', record.lost or 0
  end
  if counts then
    text = head .. '"state":"' .. state .. '",' .. ARGV[2 * i + 3] .. ',"changed":' .. now
    if state == 'waiting' or state == 'failed' then
      text = text .. string.format(',"lost":%d,"retries":%d,"until":%d,"error":%s', lost, retries,
        state == 'waiting' and now + due or 0, error)
      open[#open + 1], open[#open + 2] = us + (due + ttl) * 1000 + #open, string.sub(name, start)
    else shut[#shut + 1] = string.sub(name, start) end
    latest[name] = text .. '}'
    redis.call('SET', name, latest[name], 'PX', due + ttl)
    if aborted then redis.call('ZREM', KEYS[2], cjson.decode(latest[name]).owner) end
  else refused[#refused + 1] = i end
end
if #shut > 0 then redis.call('ZREM', KEYS[1], unpack(shut)) end
if #open > 0 then redis.call('ZADD', KEYS[1], unpack(open)) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', us)
return refused
