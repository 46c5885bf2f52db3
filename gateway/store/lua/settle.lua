-- Ends a reservation, of leases once. A gate's own word is what was spent; a bucket may owe as much as its limit.

local now = clock()

for i, key in ipairs(KEYS) do
  local kind, limit, amount, ends, spent = words(i)
  if kind == 'bucket' then
    local level = level_of(key, tonumber(limit), now) + tonumber(amount) - tonumber(spent)
    keep_level(key, math.max(-tonumber(limit), math.min(tonumber(limit), level)), now)
  else
    local field = 'lease:' .. ARGV[2]
    local lease = redis.call('HGET', key, field)
    if lease then -- one that is gone, or has ended and so left its estimate spent, takes nothing more
      local reserved, lease_end = string.match(lease, '^(%S+) (%S+)$')
      end_lease(key, kind, field, reserved, tonumber(lease_end) > now and spent or reserved)
      keep_leases(key, kind, ends, now)
    end
  end
end
