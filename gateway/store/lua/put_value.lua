-- Keeps a value; answers 0, having kept nothing, where it was wanted absent and is there.
-- ARGV: the time, the name, the value, how many seconds it lasts or '', '1' to keep it only where there is none.

local now = clock()
living(now)
if ARGV[5] == '1' and redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return 0 end
local ends = ARGV[4] == '' and '' or string.format('%.17g', now + tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], ARGV[2], ends .. ' ' .. ARGV[3])
return 1
