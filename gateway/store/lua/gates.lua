-- What reserve.lua and settle.lua share; it stands before each of them. gateway/store/memory.py says the same in Python.
--
-- KEYS: one hash for each gate, all in one slot.
-- ARGV: the time in seconds since the epoch, or '' for Redis's own, which all replicas share; the reservation;
-- how many seconds its leases last; then for each gate five words:
-- kind ('bucket', 'concurrent' or 'budget'), limit, amount, when a budget's period ends or '', and one of the script's own.

local MINUTE, DAY, TOLERANCE = 60, 86400, 1e-6

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function words(gate)
  return unpack(ARGV, 5 * gate - 1, 5 * gate + 3)
end

-- With every digit that a double has.
local function text(number)
  return string.format('%.17g', number)
end

local function negative(amount)
  return string.format('%.0f', 0 - tonumber(amount)) -- Redis does not take '-0'
end

local function expire(key, seconds)
  redis.call('PEXPIRE', key, math.max(1, math.ceil(seconds * 1000)))
end

-- A bucket's level as it is now; a clock that was set back refills nothing.
local function level_of(key, limit, now)
  local kept = redis.call('HMGET', key, 'level', 'at')
  if not kept[1] then return limit end
  return math.min(limit, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * limit / MINUTE)
end

-- A bucket untouched for two minutes is full again, whatever it owed: no debt is larger than its limit.
local function keep_level(key, level, now)
  redis.call('HSET', key, 'level', text(level), 'at', text(now))
  expire(key, 2 * MINUTE)
end

-- Ends a lease: of a budget, `spent` stays spent.
local function end_lease(key, kind, field, amount, spent)
  redis.call('HDEL', key, field)
  if kind == 'budget' then redis.call('HINCRBY', key, 'spent', spent) end
  return redis.call('HINCRBY', key, 'held', negative(amount))
end

-- What is reserved now; a lease that has ended by itself leaves its estimate spent. `next` is no later than the end of the first lease: until then there is nothing to look for.
local function held(key, kind, now)
  local kept = redis.call('HMGET', key, 'held', 'next')
  local sum = tonumber(kept[1] or 0)
  if not kept[2] or tonumber(kept[2]) > now then return sum end
  local first
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'lease:' then
      local amount, ends = string.match(fields[i + 1], '^(%S+) (%S+)$')
      if tonumber(ends) <= now then
        sum = end_lease(key, kind, fields[i], amount, amount)
      elseif not first or tonumber(ends) < tonumber(first) then
        first = ends
      end
    end
  end
  if first then redis.call('HSET', key, 'next', first) else redis.call('HDEL', key, 'next') end
  return sum
end

-- Until its last lease ends, or a budget until a day after its period; one without end stays.
local function keep_leases(key, kind, ends, now)
  if ends ~= '' then
    expire(key, tonumber(ends) + DAY - now)
  elseif kind == 'budget' then
    redis.call('PERSIST', key)
  else
    expire(key, tonumber(redis.call('HGET', key, 'last') or now) - now)
  end
end
