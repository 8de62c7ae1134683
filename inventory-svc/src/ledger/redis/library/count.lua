-- Counts one by one what an open shard holds, trusting no counter but that of the stock itself.
-- Slow on purpose: Redis does nothing else meanwhile.
--
-- KEYS: the head. ARGV: none.
-- RETURNS `ok`, epoch, stock, open holds and their units, placed orders and their units,
--   tombstones, units of all users and the most that one has, watermark, age of the oldest open
--   hold in milliseconds.

-- Records are looked at some hundred at a time: together they may be larger than Redis' memory.
local LOOK = 500

-- Every pair of a hash but the sentinel. A table that only grows is scanned without repetition.
local function each(key, visit)
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', key, cursor, 'COUNT', LOOK)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if page[2][i] ~= SENTINEL then visit(page[2][i + 1]) end
    end
  until cursor == '0'
end

local function count(keys)
  local now, second = clock()
  local shard, refused = open(keys[1], second)
  if not shard then return refused end

  local orders, units, oldest = { O = 0, P = 0, R = 0, L = 0 }, { O = 0, P = 0 }, now
  each(shard.orders, function(record)
    local letter = string.sub(record, 1, 1)
    orders[letter] = orders[letter] + 1
    if units[letter] then units[letter] = units[letter] + struct.unpack('>I4', record, 18) end
    if letter == 'O' then oldest = math.min(oldest, (struct.unpack('>I8', record, 30))) end
  end)
  local user_units, user_units_max = 0, 0
  each(shard.users, function(value)
    user_units = user_units + tonumber(value)
    user_units_max = math.max(user_units_max, tonumber(value))
  end)
  return { 'ok', shard.epoch, shard.left, orders.O, units.O, orders.P, units.P,
    orders.R + orders.L, user_units, user_units_max, shard.watermark, now - oldest }
end

register('count', count, { 'no-writes' })
