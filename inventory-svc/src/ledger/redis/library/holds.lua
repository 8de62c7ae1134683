-- A page of the open holds, also of a closed shard: the first ones, or those behind a place.
--
-- KEYS: the head.
-- ARGV: how many at most; score and id of the place, or nothing for the first page.
-- RETURNS `ok`, epoch, generation, and of each hold its id, score and record.

-- Whether `a` stands before `b` or is it, byte by byte: that is how Redis sorts equal scores, and
-- Lua's own comparison goes by the locale.
local function is_up_to(a, b)
  for i = 1, math.min(#a, #b) do
    local byte_a, byte_b = string.byte(a, i), string.byte(b, i)
    if byte_a ~= byte_b then return byte_a < byte_b end
  end
  return #a <= #b
end

-- The rank of the first hold behind a place, whether or not that is still taken.
local function rank_behind(waiting, score, id)
  local low = redis.call('ZCOUNT', waiting, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', waiting, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local there = redis.call('ZRANGE', waiting, middle, middle)[1]
    if is_up_to(there, id) then low = middle + 1 else high = middle end
  end
  return low
end

local function holds(keys, args)
  local _, second = clock()
  local shard, refused = loaded(keys[1], second)
  if not shard then return refused end
  local limit = tonumber(args[1])
  -- The sentinel has rank 0.
  local first = args[2] and rank_behind(shard.waiting, args[2], args[3]) or 1
  local places = redis.call('ZRANGE', shard.waiting, first, first + limit - 1, 'WITHSCORES')
  local ids, scores = {}, {}
  for i = 1, #places, 2 do
    ids[#ids + 1], scores[#scores + 1] = places[i], places[i + 1]
  end
  return append_holds({ 'ok', shard.epoch, shard.generation }, shard, ids, scores)
end

register('holds', holds, { 'no-writes' })
