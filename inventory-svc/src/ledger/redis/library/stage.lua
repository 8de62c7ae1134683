-- Stages the orders of the books under keys that are named by the attempt's id. Nobody reads them
-- before `activate.lua` makes them the shard's epoch. They go by themselves if that never comes:
-- they are the only keys with a time to live.
--
-- `begin_staging`: nothing is staged for `to`.
--   KEYS: the head. ARGV: `to`. RETURNS `ok` and the identity of this process; or `mark lost`.
-- `stage`: adds orders; one that is there already changes nothing.
--   KEYS: the head.
--   ARGV: `to`; the identity that `begin_staging` has answered; then the orders, each a letter (`P`
--     placed, `R` rejected, `L` released), id 16 bytes, user 16, units 4.
--   RETURNS `ok`, `mark lost` (also if staging never began), or `identity changed`.

-- Longer than the longest step of a loader, which goes on staging all the while.
local STAGED_S = 900

-- The keys of attempt `to`, while the shard is closed by it. An epoch that was active once is never
-- staged again (law B).
local function staging(head, to)
  local fields = redis.call('HMGET', head, 'phase', 'mark', 'epoch')
  if fields[1] ~= 'closed' or fields[2] ~= to or fields[3] == to then return nil end
  return keys_of(head, to)
end

local function expire_later(room)
  redis.call('EXPIRE', room.orders, STAGED_S)
  redis.call('EXPIRE', room.users, STAGED_S)
  redis.call('EXPIRE', room.waiting, STAGED_S)
end

local function begin_staging(keys, args)
  local _, second = clock()
  local here = identity(second)
  if not here then return NO_MASTER end
  local to = args[1]
  local room = staging(keys[1], to)
  if not room then return { 'mark lost' } end
  redis.call('UNLINK', room.orders, room.users, room.waiting)
  redis.call('HSET', room.orders, SENTINEL, to)
  redis.call('HSET', room.users, SENTINEL, to)
  redis.call('ZADD', room.waiting, SENTINEL_SCORE, room.sentinel)
  expire_later(room)
  return { 'ok', here }
end

local function stage(keys, args)
  local _, second = clock()
  local here = identity(second)
  if not here then return NO_MASTER end
  if here ~= args[2] then return { 'identity changed' } end
  local room = staging(keys[1], args[1])
  if not room or not is_whole(room, args[1]) then return { 'mark lost' } end

  local ids, users = {}, {}
  for i = 3, #args do
    ids[i - 2] = string.sub(args[i], 2, 17)
    users[i - 2] = string.sub(args[i], 18, 33)
  end
  local known, units = read(room.orders, ids), read(room.users, users)
  local added, has, new_orders, new_users = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    if not known[i] and not added[id] then
      added[id] = true
      local order, user = args[i + 2], users[i]
      local record = string.sub(order, 1, 1)
      if record == 'P' then
        record = 'P' .. string.sub(order, 18, 37)
        has[user] = (has[user] or tonumber(units[i]) or 0) + struct.unpack('>I4', order, 34)
        new_users[#new_users + 1] = user
        new_users[#new_users + 1] = has[user]
      end
      new_orders[#new_orders + 1] = id
      new_orders[#new_orders + 1] = record
    end
  end
  write('HSET', room.orders, new_orders)
  write('HSET', room.users, new_users)
  expire_later(room)
  return { 'ok' }
end

register('begin_staging', begin_staging, { 'allow-oom' })
register('stage', stage, { 'allow-oom' })
