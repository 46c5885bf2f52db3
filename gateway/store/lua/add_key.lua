-- Keeps a new key, and answers 1; answers 0 where its hash or its id is there already.
-- KEYS: the hash of all keys. ARGV: SHA-256, id, what never changes, what may change, when the key ends or ''.

if redis.call('HEXISTS', KEYS[1], 'record:' .. ARGV[1]) == 1 or redis.call('HEXISTS', KEYS[1], 'id:' .. ARGV[2]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'id:' .. ARGV[2], ARGV[1], 'made:' .. ARGV[1], ARGV[3], 'record:' .. ARGV[1], ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'end:' .. ARGV[1], ARGV[5]) end
return 1
