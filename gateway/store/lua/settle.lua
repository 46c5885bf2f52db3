-- Ends a reservation. A gate's own word is what was spent; a bucket may owe as much as its limit.

local now = clock()

for i, key in ipairs(KEYS) do
  local kind, limit, amount, ends, spent = words(i)
  if kind == 'bucket' then
    local level = level_of(key, tonumber(limit), now) + tonumber(amount) - tonumber(spent)
    keep_level(key, math.max(-tonumber(limit), math.min(tonumber(limit), level)), now)
  else
    local lease = redis.call('HGET', key, 'lease:' .. ARGV[2])
    if lease then
      redis.call('HDEL', key, 'lease:' .. ARGV[2])
      redis.call('HINCRBY', key, 'held', negative(string.match(lease, '^%S+')))
    end
    if kind == 'budget' then
      redis.call('HINCRBY', key, 'spent', spent)
      keep_leases(key, ends, now)
    end
  end
end
