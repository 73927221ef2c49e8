-- judge: what the record of a key says to a request for it. A pure function, the first part of begin.lua.
-- No KEYS, no ARGV. Takes the record, the time in ms, and the request: its own fields, and lease in ms, max losses,
-- park, hold, losses before the store was asked
-- Returns verdict, lost, retries, and when the holder's time ends in ms. The verdict 'again' is 'run' with the claim
-- that this very delivery has got before. As atomic as begin.lua, which calls it.
local function judge(record, now, request, lease, max_losses, park, hold, before)
  local state, same = record.state, record.owner == request.owner
  local lost, retries = math.max(record.lost or 0, before), record.retries or 0
  local ends, verdict = record['until'] or 0, 'run'
  if state == 'released' or state == 'failed' and not same and not hold then lost, retries, ends = before, 0, 0
  elseif not same and request.fingerprint and record.fingerprint and request.fingerprint ~= record.fingerprint then
    verdict = 'conflict'
  elseif state == 'running' and record.token == request.token then verdict = 'again'
  elseif state == 'failed' and record.token == request.token then verdict = 'poison'
  elseif same and (state == 'failed' or state == 'unknown') and (request.replays or 0) > (record.replays or 0) then
    retries, ends = 0, 0
  elseif state ~= 'running' and state ~= 'waiting' then verdict = state
  else
    if state == 'waiting' and not same then ends = ends + lease end
    if now < ends then verdict = 'busy'
    elseif state == 'running' and not record.unstarted then
      lost = lost + 1
      verdict = park and 'unknown' or same and lost >= max_losses and 'poison' or 'run'
    end
    if verdict == 'run' and not same then retries = 0 end
  end
  return verdict, lost, retries, ends
end
