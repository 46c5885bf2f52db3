-- Takes every gate's amount, or, if a gate that is no shadow refuses, nothing at all.
-- A gate's own word is '1' for a shadow. Answers the time, and for each gate what was left and whether it fitted.

local now = clock()
local answer, refused = {text(now)}, false

for i, key in ipairs(KEYS) do
  local kind, limit, amount, _, shadow = words(i)
  local left, fits
  limit, amount = tonumber(limit), tonumber(amount)
  if kind == 'bucket' then
    left = level_of(key, limit, now)
    fits = left + TOLERANCE >= amount
  else
    local taken = held(key, kind, now) -- first: what has ended is spent
    left = limit - tonumber(redis.call('HGET', key, 'spent') or 0) - taken
    fits = left >= amount and (kind == 'concurrent' or left > 0)
  end
  refused = refused or not (fits or shadow == '1')
  answer[2 * i], answer[2 * i + 1] = text(left), fits and 1 or 0
end

for i, key in ipairs(KEYS) do
  local kind, _, amount, ends = words(i)
  local left, taken = tonumber(answer[2 * i]), answer[2 * i + 1] == 1 and not refused
  if kind == 'bucket' then
    keep_level(key, taken and left - tonumber(amount) or left, now)
  elseif taken then
    local lease_end = text(now + tonumber(ARGV[3]))
    local kept = redis.call('HMGET', key, 'next', 'last')
    redis.call('HSET', key, 'lease:' .. ARGV[2], amount .. ' ' .. lease_end)
    redis.call('HINCRBY', key, 'held', amount)
    if not kept[1] or tonumber(kept[1]) > tonumber(lease_end) then redis.call('HSET', key, 'next', lease_end) end
    if not kept[2] or tonumber(kept[2]) < tonumber(lease_end) then redis.call('HSET', key, 'last', lease_end) end
    keep_leases(key, kind, ends, now)
  end
end

return answer
