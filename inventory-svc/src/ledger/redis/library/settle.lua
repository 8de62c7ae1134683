-- Applies what the books decided. Idempotent; a tombstone is never overwritten. It gives no units
-- to the stock: only a movement does (law A), so a released order counts as placed until then.
-- A closed shard is settled too. Flagged allow-oom: what it writes is smaller than what was there.
--
-- KEYS: the head.
-- ARGV: the epoch; the generation of the books' position row, or nothing to compare none; then the
--   decisions, each a letter (`P` placed, `R` rejected, `L` released) and the order id.
-- RETURNS `ok` and how many live orders were rejected; or `lower` and the generation that was seen;
--   or `other epoch`.

-- Whether the decimal number `a` is below `b`. They have up to 20 digits.
local function is_below(a, b)
  if #a ~= #b then return #a < #b end
  local high_a, high_b = tonumber(string.sub(a, 1, 10)), tonumber(string.sub(b, 1, 10))
  if high_a ~= high_b then return high_a < high_b end
  return (tonumber(string.sub(a, 11)) or 0) < (tonumber(string.sub(b, 11)) or 0)
end

local function settle(keys, args)
  local _, second = clock()
  local shard, refused = loaded(keys[1], second)
  if not shard then return refused end
  if shard.epoch ~= args[1] then return { 'other epoch' } end
  local generation = args[2]
  if generation ~= '' then
    if is_below(generation, shard.generation) then return { 'lower', shard.generation } end
    if generation ~= shard.generation then
      redis.call('HSET', keys[1], 'generation', generation)
    end
  end

  local ids = {}
  for i = 3, #args do ids[i - 2] = string.sub(args[i], 2) end
  local records, decided, rejected = read(shard.orders, ids), {}, 0
  local changes, no_longer_open = {}, {}
  for i, id in ipairs(ids) do
    local record = decided[id] or records[i]
    local letter = record and string.sub(record, 1, 1)
    local is_rejection = string.sub(args[i + 2], 1, 1) == 'R'
    local becomes
    if is_rejection and (letter == 'O' or letter == 'P') then
      becomes = 'R'
      rejected = rejected + 1
      local user, units = string.sub(record, 2, 17), struct.unpack('>I4', record, 18)
      local less = (tonumber(redis.call('HGET', shard.users, user)) or 0) - units
      -- Not removed at 0: `count.lua` relies on tables that only grow.
      redis.call('HSET', shard.users, user, math.max(0, less))
    elseif not is_rejection and letter == 'O' then
      becomes = 'P' .. string.sub(record, 2, 21)
    end
    if becomes then
      decided[id] = becomes
      changes[#changes + 1] = id
      changes[#changes + 1] = becomes
      if letter == 'O' then no_longer_open[#no_longer_open + 1] = id end
    end
  end
  write('HSET', shard.orders, changes)
  write('ZREM', shard.waiting, no_longer_open)
  return { 'ok', rejected }
end

register('settle', settle, { 'allow-oom' })
