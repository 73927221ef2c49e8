-- begin: claim each key that is free, and say what holds the others. judge.lua and heed.lua go before it.
-- KEYS  1 fence counter, 2 index of open keys, 3 abort notes, then each request's record, then the aliases of some
-- ARGV  1 length of what precedes digests in names, 2 JSON: kinds of requests [lease ms, ttl ms, max losses, park,
--       hold, before, aliased], 3 JSON: the kind of each, then the fields of each for its record
-- Returns for each a fence, [fence, lost, retries], or [verdict, lost, retries, owner, remaining ms, result, error].
-- Atomic: of two requests for a key one sees the other's claim. Fences are times too: they rise also after data loss.
local kinds, kind_of, clock = cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), redis.call('TIME')
local us, answers, latest, open, alias = clock[1] * 1000000 + clock[2], {}, {}, {}, #kind_of + 3
local now, found = math.floor(us / 1000), redis.call('MGET', unpack(KEYS, 4, alias))
local fence, noted = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), us), redis.call('EXISTS', KEYS[3]) > 0
local function keep(name, number, text, life)
  latest[name], fence = string.format('{"fence":%d,%s', number, text), math.max(fence, number)
  redis.call('SET', name, latest[name], 'PX', life)
  open[#open + 1], open[#open + 2] = us + life * 1000 + #open, string.sub(name, ARGV[1] + 1)
end
for i, kind in ipairs(kind_of) do
  local lease, ttl, max_losses, park, hold, before, aliased = unpack(kinds[kind])
  local name, fields, verdict, lost, retries, ends, was, request, ended = KEYS[i + 3], ARGV[i + 3], 'run', before, 0, 0
  if noted or latest[name] or found[i] then request = cjson.decode('{' .. fields .. '}') end
  if latest[name] or found[i] then
    was = cjson.decode(latest[name] or found[i])
    verdict, lost, retries, ends = judge(was, now, request, lease, max_losses, park, hold, before)
  end
  if noted then verdict, lost, retries, ends, was, ended = heed(verdict, lost, retries, ends, was, request, now) end
  if verdict == 'run' or verdict == 'again' then
    local mine, unstarted = fence + 1, park or lost > 0 or max_losses == 1
    if verdict == 'again' then mine, unstarted = was.fence, was.unstarted end
    keep(name, mine, string.format('"state":"running",%s,"changed":%d,"until":%d,"lost":%d,"retries":%d%s}', fields,
      now, now + lease, lost, retries, unstarted and ',"unstarted":true' or ''), lease + ttl)
    answers[i] = lost + retries == 0 and mine or {mine, lost, retries}
  else
    ended = ended or bury(was, request, verdict, now, lost)
    if ended then keep(name, fence + 1, ended, ttl) end
    answers[i] = {verdict, lost, retries, was.owner, math.max(0, ends - now), was.result or '', was.error or ''}
  end
  if aliased then alias = alias + 1 end
  if aliased and verdict ~= 'conflict' then redis.call('SET', KEYS[alias], name:sub(ARGV[1] + 1), 'PX', lease + ttl) end
end
if #open > 0 then redis.call('SET', KEYS[1], string.format('%d', fence)) redis.call('ZADD', KEYS[2], unpack(open)) end
return answers
