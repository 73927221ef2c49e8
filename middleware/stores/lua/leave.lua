-- leave: free a seat, and note for how long it was held.
-- KEYS  1 seats: the tokens of those that have one, 2 how long seats are held of late in ms
-- ARGV  1 token, 2 for how many ms it was held or '' for no note, 3 how long to remember that in ms
-- Returns 1 if that was noted, else 0: a seat that was not held is not noted, so that it can be repeated.
-- Atomic, so that of two that leave at once neither's note is lost.
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 or ARGV[2] == '' then return 0 end
local pace = tonumber(redis.call('GET', KEYS[2]) or ARGV[2])
redis.call('SET', KEYS[2], string.format('%.1f', pace + (ARGV[2] - pace) / 8), 'PX', ARGV[3])
return 1
