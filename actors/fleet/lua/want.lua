-- want: let processes know what is wanted of them, for a while.
-- KEYS  what there is while it is wanted, one or two
-- ARGV  1 for how long, in ms
-- Returns nothing.
-- Atomic, so that who wants it for a shorter time does not cut another's short.
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < tonumber(ARGV[1]) then redis.call('SET', key, '1', 'PX', ARGV[1]) end
end
