-- What find_value.lua, find_values.lua and put_value.lua share; it stands before each of them.
--
-- KEYS: a family's hash. A field is a value's name, and holds the second in which it ends or nothing, a blank, the value.
-- ARGV[1]: the time in seconds since the epoch, or '' for Redis's own, which all replicas share.

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

-- The value that a field holds; false if it has none, or that has ended.
local function value_of(field, now)
  if not field then return false end
  local blank = string.find(field, ' ', 1, true)
  local ends = tonumber(string.sub(field, 1, blank - 1))
  return (not ends or ends > now) and string.sub(field, blank + 1)
end

-- Names and values by turns; those that have ended are deleted.
local function living(now)
  local found = {}
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local value = value_of(fields[i + 1], now)
    if value then
      found[#found + 1] = fields[i]
      found[#found + 1] = value
    else
      redis.call('HDEL', KEYS[1], fields[i])
    end
  end
  return found
end
