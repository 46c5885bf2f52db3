-- One value that has not ended. ARGV: the time, the name.

return value_of(redis.call('HGET', KEYS[1], ARGV[2]), clock())
