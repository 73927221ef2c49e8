-- override: an operator's word on a key: release it, or call it done.
-- KEYS  1 record, 2 fence counter, 3 index of open keys
-- ARGV  1 new state, 2 result, 3 "1" to override a lease that is alive, 4 digest
-- Returns the record as it was, and its expiry in ms; an empty list if there is none; "running" if refused.
-- Atomic, so that it can't meet a claim half made. The new fence shuts out whoever holds the key now.
local text, life, clock = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]), redis.call('TIME')
if not text then return {} end
local us, record = clock[1] * 1000000 + clock[2], cjson.decode(text)
local now, ends = math.floor(us / 1000), record['until'] or 0
if record.state == 'running' and now < ends and ARGV[3] ~= '1' then return 'running' end
local fence = string.format('%d', math.max(tonumber(redis.call('GET', KEYS[2]) or 0), us) + 1)
-- It is remembered for as long from now on as it was to be from its last change.
local ttl = math.max(1, now + life - math.max(record.changed, ends))
local new = cjson.encode({state = ARGV[1], owner = record.owner, scope = record.scope, key = record.key,
  fingerprint = record.fingerprint, replays = record.replays, changed = now, result = ARGV[2] ~= '' and ARGV[2] or nil})
redis.call('SET', KEYS[1], '{"fence":' .. fence .. ',' .. new:sub(2), 'PX', ttl)
redis.call('SET', KEYS[2], fence)
redis.call('ZREM', KEYS[3], ARGV[4])
return {text, now + life}
