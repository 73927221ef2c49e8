-- begin: claim each key that is free, and say what holds the others. judge.lua goes before it.
-- KEYS  1 fence counter, 2 index of open keys, then each request's record, then the aliases of those that have one
-- ARGV  1 length of what precedes the digest in a record's name, 2 JSON: kinds of requests [lease ms, ttl ms, max
--       losses, park, hold, before, aliased], 3 JSON: the kind of each, then the fields of each that go into its record
-- Returns for each a fence, [fence, lost, retries], or [verdict, lost, retries, owner, remaining ms, result, error].
-- Atomic: of two requests for a key one sees the other's claim. Fences are times too: they rise also after a data loss.
local clock, kinds, kind_of = redis.call('TIME'), cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local us, answers, latest, open, alias = clock[1] * 1000000 + clock[2], {}, {}, {}, #kind_of + 2
local now, found = math.floor(us / 1000), redis.call('MGET', unpack(KEYS, 3, alias))
local fence, start = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), us), ARGV[1] + 1
local function keep(name, text, life)
  redis.call('SET', name, text, 'PX', life)
  latest[name], open[#open + 1], open[#open + 2] = text, us + life * 1000 + #open, string.sub(name, start)
end
for i, kind in ipairs(kind_of) do
  local lease, ttl, max_losses, park, hold, before, aliased = unpack(kinds[kind])
  local name, fields, verdict, lost, retries, ends, was, request = KEYS[i + 2], ARGV[i + 3], 'run', before, 0, 0
  if latest[name] or found[i] then
    was, request = cjson.decode(latest[name] or found[i]), cjson.decode('{' .. fields .. '}')
    verdict, lost, retries, ends = judge(was, now, request, lease, max_losses, park, hold, before)
  end
  if verdict == 'run' or verdict == 'again' then
    local mine, unstarted = fence + 1, park or lost > 0 or max_losses == 1
    if verdict == 'again' then mine, unstarted = was.fence, was.unstarted else fence = mine end
    keep(name, string.format('{"fence":%d,"state":"running",%s,"changed":%d,"until":%d,"lost":%d,"retries":%d%s}', mine,
      fields, now, now + lease, lost, retries, unstarted and ',"unstarted":true' or ''), lease + ttl)
    answers[i] = lost + retries == 0 and mine or {mine, lost, retries}
  else
    if was.state == 'running' and (verdict == 'unknown' or verdict == 'poison') then
      fence, was.fence, was['until'], was.changed, was.error = fence + 1, nil, nil, now, 'its worker was lost'
      was.state, was.token, was.lost = verdict == 'poison' and 'failed' or verdict, request.token, lost
      keep(name, string.format('{"fence":%d,%s', fence, cjson.encode(was):sub(2)), ttl)
    end
    answers[i] = {verdict, lost, retries, was.owner, math.max(0, ends - now), was.result or '', was.error or ''}
  end
  alias = alias + (aliased and 1 or 0)
  if aliased and verdict ~= 'conflict' then redis.call('SET', KEYS[alias], name:sub(start), 'PX', lease + ttl) end
end
if #open > 0 then redis.call('SET', KEYS[1], string.format('%d', fence)) redis.call('ZADD', KEYS[2], unpack(open)) end
return answers
