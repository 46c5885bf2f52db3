-- Ends a reservation, of leases once. A gate's own number is what was spent; a bucket may owe as much as its limit.

for _, key in ipairs(KEYS) do
  local kind, limit, amount, spent = gate()
  if kind == BUCKET then
    local level, ends = level_of(key, limit)
    keep_level(key, math.max(-limit, math.min(limit, level + amount - spent)), ends)
  else
    local field = 'lease:' .. ARGV[1]
    local kept = redis.call('HGET', key, field)
    if kept then -- one that is gone, or has ended and so left its estimate spent, takes nothing more
      local reserved, lease_end = struct.unpack('<dd', kept)
      end_lease(key, kind, field, reserved, lease_end > now and spent or reserved)
    end
  end
end
