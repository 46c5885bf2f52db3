-- Takes every gate's amount, or, if a gate that is no shadow refuses, nothing at all.
-- A gate's own number is when a budget's period ends, or 0. Answers in one text the time, and for each gate what was
-- left and whether it fitted.

-- A lease that has ended by itself leaves its estimate spent.
local function end_leases(key, kind, last)
  local first = math.huge
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'lease:' then
      local amount, lease_end = struct.unpack('<dd', fields[i + 1])
      if lease_end <= now then
        end_lease(key, kind, fields[i], amount, amount)
      else
        first = math.min(first, lease_end)
      end
    end
  end
  redis.call('HSET', key, 'ends', struct.pack('<dd', first, last))
end

-- What is held and what is spent now, the end of the first lease, and until when Redis keeps it.
local function leased(key, kind)
  local kept = redis.call('HMGET', key, 'held', 'spent', 'ends')
  if not kept[3] then return 0, 0, math.huge, 0 end
  local first, last = struct.unpack('<dd', kept[3])
  if first <= now then
    end_leases(key, kind, last)
    return leased(key, kind)
  end
  return tonumber(kept[1]), tonumber(kept[2] or 0), first, last
end

-- Concurrent requests are kept until the last of them ends, and a while longer, so that not each has to say so anew; a
-- budget until a day after its period, or for good.
local function keep_lease(key, kind, amount, first, last, period)
  local field, lease_end = 'lease:' .. ARGV[1], now + lease
  local packed = struct.pack('<dd', amount, lease_end)
  redis.call('HINCRBY', key, 'held', amount)
  if lease_end >= first and lease_end <= last then
    redis.call('HSET', key, field, packed)
    return
  end
  if kind == BUDGET and last == 0 then
    last = math.huge
    if period > 0 then expire(key, period + DAY - now) end
  elseif lease_end > last then
    last = lease_end + SLACK
    expire(key, last - now)
  end
  redis.call('HSET', key, field, packed, 'ends', struct.pack('<dd', math.min(first, lease_end), last))
end

local kinds, amounts, periods, lefts, fitted, firsts, lasts, refused = {}, {}, {}, {}, {}, {}, {}, false
local answer = {struct.pack('<d', now)}

for i, key in ipairs(KEYS) do
  local kind, limit, amount, period = gate()
  local shadow, left, fits = kind >= SHADOW
  if shadow then kind = kind - SHADOW end
  if kind == BUCKET then
    left, lasts[i] = level_of(key, limit)
    fits = left + TOLERANCE >= amount
  else
    local held, spent
    held, spent, firsts[i], lasts[i] = leased(key, kind)
    left = limit - spent - held
    fits = left >= amount and (kind == CONCURRENT or left > 0)
  end
  refused = refused or not (fits or shadow)
  kinds[i], amounts[i], periods[i], lefts[i], fitted[i] = kind, amount, period, left, fits
  answer[i + 1] = struct.pack('<dB', left, fits and 1 or 0)
end

for i, key in ipairs(KEYS) do
  local taken = fitted[i] and not refused
  if kinds[i] == BUCKET then
    keep_level(key, taken and lefts[i] - amounts[i] or lefts[i], lasts[i])
  elseif taken then
    keep_lease(key, kinds[i], amounts[i], firsts[i], lasts[i], periods[i])
  end
end

return table.concat(answer)
