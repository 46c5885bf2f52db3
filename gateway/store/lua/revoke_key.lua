-- Ends a key at a time; an earlier end that it already has stays. KEYS: the hash of all keys. ARGV: id, time.

local sha256 = redis.call('HGET', KEYS[1], 'id:' .. ARGV[1])
if sha256 then
  local ends = redis.call('HGET', KEYS[1], 'end:' .. sha256)
  if not ends or tonumber(ends) > tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], 'end:' .. sha256, ARGV[2]) end
end
