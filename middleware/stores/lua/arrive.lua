-- arrive: note that a member of a group has arrived, and say whether all have.
-- KEYS  1 the group's size, 2 the set of those that have arrived
-- ARGV  1 member
-- Returns 1 if all have arrived, else 0; a group that is gone never has.
-- Atomic, so that the last two to arrive can't both miss each other. A set, so that who arrives twice counts once.
local size, ttl = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
if not size then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ttl)
return redis.call('SCARD', KEYS[2]) >= tonumber(size) and 1 or 0
