-- heed: what a note that its message is to be aborted makes of a request. A part of begin.lua, as is bury.
-- KEYS  3 notes of what is to be aborted
-- ARGV  none of its own. Takes what judge has returned, the record or nil, the request's own fields, and the time in ms
-- Returns the same again, and the record, where there is no note, where the message was replayed since, has ended, or
-- runs elsewhere; else the verdict 'aborted', zeros, what it is about, and unless the key is another's what the record
-- is to be but for its fence, and then the note is gone. As atomic as begin.lua.
local function heed(verdict, lost, retries, ends, record, request, now)
  local number = tonumber(redis.call('ZSCORE', KEYS[3], request.owner) or -1)
  local state, same = record and record.state, record and record.owner == request.owner
  local stands = same and (state == 'running' and 'busy' or state ~= 'waiting' and state)
  if number < (request.replayed or 0) * 1000 or number < 0 or verdict == stands then
    return verdict, lost, retries, ends, record
  end
  local about = {owner = request.owner, error = 'it was aborted'}
  if record and not same and state ~= 'released' then return 'aborted', 0, 0, 0, about end
  redis.call('ZREM', KEYS[3], request.owner)
  request.token, request.replayed, request.state, request.error = nil, nil, 'failed', about.error
  request.changed, request.lost, request.retries = now, lost, retries
  return 'aborted', 0, 0, 0, about, cjson.encode(request):sub(2)
end

-- Returns what the record is to be, but for its fence, of a message that has cost its last worker; else nil.
local function bury(record, request, verdict, now, lost)
  if record.state ~= 'running' or verdict ~= 'unknown' and verdict ~= 'poison' then return nil end
  record.fence, record['until'], record.changed, record.error = nil, nil, now, 'its worker was lost'
  record.state, record.token, record.lost = verdict == 'poison' and 'failed' or verdict, request.token, lost
  return cjson.encode(record):sub(2)
end
