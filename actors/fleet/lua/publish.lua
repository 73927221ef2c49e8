-- publish: add events to the stream, which is bounded and expires.
-- KEYS  1 the stream
-- ARGV  1 how many events are kept, 2 for how long after the last, in ms, then each event
-- Returns nothing.
-- Atomic, so that the events of one process stay together, and none is left that never expires.
for place = 3, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'event', ARGV[place])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
