-- Adds a batch to a day's sums, once. KEYS: the batch's mark, the day's sums.
-- ARGV: how many seconds the mark is kept, then for each row its name and its numbers with blanks between them.

if not redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) then return end
for i = 2, #ARGV, 2 do
  local had = string.gmatch(redis.call('HGET', KEYS[2], ARGV[i]) or '', '%S+')
  local new = string.gmatch(ARGV[i + 1], '%S+')
  local sums = {}
  while true do
    local a, b = had(), new()
    if not a and not b then break end
    sums[#sums + 1] = string.format('%.0f', (a or 0) + (b or 0))
  end
  redis.call('HSET', KEYS[2], ARGV[i], table.concat(sums, ' '))
end
