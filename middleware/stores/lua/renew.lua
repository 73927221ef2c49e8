-- renew: extend the leases that still hold, and mark what starts.
-- KEYS  1 index of open keys, then each claim's record
-- ARGV  1 length of what precedes the digest in a record's name, 2 JSON: kinds of claims [lease ms, ttl ms, lost,
--       retries], 3 JSON: the kind of each, 4 "1" to mark their start, then the fence of each, and its fields that
--       go into its record
-- Returns the numbers of those that are held no more: the key is another's, or does not run.
-- Atomic, so that a lease can't end between the comparison and its extension. A record that the store has lost comes
-- back, since nobody else can have claimed it.
local clock, kinds, kind_of = redis.call('TIME'), cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local us, refused, latest, open = clock[1] * 1000000 + clock[2], {}, {}, {}
local now, found = math.floor(us / 1000), redis.call('MGET', unpack(KEYS, 2))
for i, kind in ipairs(kind_of) do
  local lease, ttl, lost, retries = unpack(kinds[kind])
  local name, fence = KEYS[i + 1], ARGV[2 * i + 3]
  local text, unstarted, holds = latest[name] or found[i], false, true
  if text then
    local record = cjson.decode(text)
    holds = string.format('%d', record.fence) == fence and record.state == 'running'
    lost, retries, unstarted = record.lost, record.retries, record.unstarted and ARGV[4] ~= '1'
  end
  if holds then
    latest[name] = string.format('{"fence":%s,"state":"running",%s,"changed":%d,"until":%d,"lost":%d,"retries":%d%s}',
      fence, ARGV[2 * i + 4], now, now + lease, lost, retries, unstarted and ',"unstarted":true' or '')
    redis.call('SET', name, latest[name], 'PX', lease + ttl)
    open[#open + 1], open[#open + 2] = us + (lease + ttl) * 1000 + #open, string.sub(name, ARGV[1] + 1)
  else refused[#refused + 1] = i end
end
if #open > 0 then redis.call('ZADD', KEYS[1], unpack(open)) end
return refused
