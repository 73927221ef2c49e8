-- heed: what a note that its message is to be aborted makes of a request. A part of begin.lua, as is bury.
-- KEYS  3 notes of what is to be aborted
-- ARGV  none of its own. Takes the record or nil, the request's own fields, its verdict without the note, and the time
--       in ms, losses and retries for the record
-- Returns the verdict and what it is about: those that it was given where there is no note, where the message was
-- replayed since, has ended, or runs elsewhere; else 'aborted' and, unless the key is another's, what the record of the
-- key is to be but for its fence, and then the note is gone. As atomic as begin.lua.
local function heed(record, request, verdict, now, lost, retries)
  local number = tonumber(redis.call('ZSCORE', KEYS[3], request.owner) or -1)
  if number < (request.replayed or 0) * 1000 or number < 0 then return verdict, record end
  local about = {owner = request.owner, error = 'it was aborted'}
  if record and record.owner == request.owner then
    local state = record.state
    local stands = state == 'running' and 'busy' or state ~= 'waiting' and state
    if verdict == stands then return verdict, record end
  elseif record and record.state ~= 'released' then return 'aborted', about end
  redis.call('ZREM', KEYS[3], request.owner)
  request.token, request.replayed, request.state, request.error = nil, nil, 'failed', about.error
  request.changed, request.lost, request.retries = now, lost, retries
  return 'aborted', about, cjson.encode(request):sub(2)
end

-- Returns what the record is to be, but for its fence, of a message that has cost its last worker; else nil.
local function bury(record, request, verdict, now, lost)
  if record.state ~= 'running' or verdict ~= 'unknown' and verdict ~= 'poison' then return nil end
  record.fence, record['until'], record.changed, record.error = nil, nil, now, 'its worker was lost'
  record.state, record.token, record.lost = verdict == 'poison' and 'failed' or verdict, request.token, lost
  return cjson.encode(record):sub(2)
end
