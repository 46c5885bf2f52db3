-- What put_value.lua and find_values.lua share; it stands before each of them.
--
-- KEYS: a family's hash. A field is a value's name, and holds the second in which it ends or nothing, a blank, the value.
-- ARGV[1]: the time in seconds since the epoch, or '' for Redis's own, which all replicas share.

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

-- Names and values by turns; those that have ended are deleted.
local function living(now)
  local found = {}
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local blank = string.find(fields[i + 1], ' ', 1, true)
    local ends = tonumber(string.sub(fields[i + 1], 1, blank - 1))
    if ends and ends <= now then
      redis.call('HDEL', KEYS[1], fields[i])
    else
      found[#found + 1] = fields[i]
      found[#found + 1] = string.sub(fields[i + 1], blank + 1)
    end
  end
  return found
end
