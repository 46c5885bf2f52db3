-- The rows of a day whose names begin with ARGV[1], each with its numbers. KEYS: the day's sums.

local rows = redis.call('HGETALL', KEYS[1])
if ARGV[1] == '' then return rows end
local found = {}
for i = 1, #rows, 2 do
  if string.sub(rows[i], 1, #ARGV[1]) == ARGV[1] then
    found[#found + 1], found[#found + 2] = rows[i], rows[i + 1]
  end
end
return found
