-- What reserve.lua and settle.lua share; it stands before each of them. gateway/store/memory.py says the same in Python.
--
-- KEYS: one name for each gate, all in one slot. A bucket is a text of three doubles: its level, when that was, and
-- until when Redis keeps it. What is leased is a hash: `held` is reserved now, `spent` of a budget for good; a field of
-- each lease has its amount and when it ends by itself; until the first of `ends` none does, after the second none is
-- left.
-- ARGV: the reservation; then in one text, as struct writes it, the time in seconds since the epoch, or less than 0 for
-- Redis's own, which all replicas share; how many seconds the reservation's leases last; and for each gate its kind,
-- limit, amount, and a number of the script's own.
--
-- All limits go through one Redis. What costs it most are calls, at one to four microseconds each, and numbers that
-- have to be read or written with all their digits, at one.

local BUCKET, CONCURRENT, BUDGET, SHADOW = 0, 1, 2, 4
local MINUTE, DAY, TOLERANCE, SLACK = 60, 86400, 1e-6, 60

local now, lease, place = struct.unpack('<dd', ARGV[2])
if now < 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function gate()
  local kind, limit, amount, own
  kind, limit, amount, own, place = struct.unpack('<Bddd', ARGV[2], place)
  return kind, limit, amount, own
end

local function expire(key, seconds)
  redis.call('PEXPIRE', key, math.max(1, math.ceil(seconds * 1000)))
end

-- A bucket's level as it is now, and until when it is kept; a clock that was set back refills nothing.
local function level_of(key, limit)
  local kept = redis.call('GET', key)
  if not kept then return limit, 0 end
  local level, at, ends = struct.unpack('<ddd', kept)
  if now > at then level = level + (now - at) * limit / MINUTE end
  return math.min(limit, level), ends
end

-- A bucket untouched for two minutes is full again, whatever it owed: no debt is larger than its limit. It is kept for
-- four, so that not each writing has to say so anew.
local function keep_level(key, level, ends)
  local left = ends - now
  if left >= 2 * MINUTE and left <= 4 * MINUTE then
    redis.call('SETRANGE', key, 0, struct.pack('<dd', level, now))
  else
    redis.call('SET', key, struct.pack('<ddd', level, now, now + 4 * MINUTE), 'PX', 4 * MINUTE * 1000)
  end
end

-- Ends a lease: of a budget, `spent` stays spent.
local function end_lease(key, kind, field, amount, spent)
  redis.call('HDEL', key, field)
  if kind == BUDGET then redis.call('HINCRBY', key, 'spent', spent) end
  redis.call('HINCRBY', key, 'held', 0 - amount) -- Redis does not take '-0'
end
