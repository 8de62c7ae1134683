-- Open holds that have waited long enough for the books, the longest overdue first. Those whose
-- time lies in the future come first of all: the clock jumped back, and nobody can tell how long
-- they have been waiting.
--
-- KEYS: the head.
-- ARGV: how many at most.
-- RETURNS `ok`, epoch, generation, and of each hold its id, score and record.

-- Adds one row's places to `due`, in their order: when they were due, row, since when, which.
local function add_row(due, shard, attempts, now, limit)
  local row, patience = attempts * ROW, patience_ms(attempts)
  local future = redis.call('ZREVRANGEBYSCORE', shard.waiting, row + ROW - 1, row + now + 1,
    'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #future, 2 do
    due[#due + 1] = { 0, attempts, tonumber(future[i + 1]), -i, future[i], future[i + 1] }
  end
  local over = redis.call('ZRANGEBYSCORE', shard.waiting, row, row + now - patience,
    'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #over, 2 do
    local score = tonumber(over[i + 1])
    due[#due + 1] = { score - row + patience, attempts, score, i, over[i], over[i + 1] }
  end
end

local function is_before(a, b)
  for i = 1, 4 do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end

local function due(keys, args)
  local now, second = clock()
  local shard, refused = open(keys[1], second)
  if not shard then return refused end
  local limit, places = tonumber(args[1]), {}
  for attempts = 0, ATTEMPTS_MAX do add_row(places, shard, attempts, now, limit) end
  table.sort(places, is_before)
  local ids, scores = {}, {}
  for i = 1, math.min(limit, #places) do ids[i], scores[i] = places[i][5], places[i][6] end
  return append_holds({ 'ok', shard.epoch, shard.generation }, shard, ids, scores)
end

register('due', due, { 'no-writes' })
