-- A page of all order ids that an open shard knows. What is known from the first page to the last
-- is in one of them, perhaps in two.
--
-- KEYS: the head.
-- ARGV: the cursor, `0` for the first page; how many at most, roughly.
-- RETURNS `ok`, epoch, limit, the next cursor, `0` after the last page, and of each order its id
--   and its record as far as its units.

-- The letter, the user and the units, see `shard.lua`.
local UP_TO_UNITS = 21

local function known(keys, args)
  local _, second = clock()
  local shard, refused = open(keys[1], second)
  if not shard then return refused end
  local page = redis.call('HSCAN', shard.orders, args[1], 'COUNT', args[2])
  local answer = { 'ok', shard.epoch, shard.limit, page[1] }
  for i = 1, #page[2], 2 do
    if page[2][i] ~= SENTINEL then
      answer[#answer + 1] = page[2][i]
      answer[#answer + 1] = string.sub(page[2][i + 1], 1, UP_TO_UNITS)
    end
  end
  return answer
end

register('known', known, { 'no-writes' })
