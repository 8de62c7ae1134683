-- A shard and its keys, which share one hash tag:
--
--   seckill:{7}:head             hash: phase (open or closed), mark of the loader that closed it,
--                                and of the epoch that was loaded last, once there is one: epoch,
--                                fence, opens, closes, limit, left, version, generation, watermark
--   seckill:{7}:EPOCH:orders     hash: order id -> record
--   seckill:{7}:EPOCH:users      hash: user id -> live units
--   seckill:{7}:EPOCH:waiting    sorted set of the ids of open holds, see `waiting.lua`
--
-- A record is a letter and what the ledger must remember: `O` for an open hold (user 16 bytes,
-- units 4, price 8, taken at 8, then the traceparent), `P` for a placed order (user 16, units 4),
-- `R` for a rejected one and `L` for a released one, which are tombstones.
--
-- The keys of an epoch each hold a sentinel with its name, since Redis drops a collection that is
-- empty. Order ids and user ids have 16 bytes, and no order id is text, so none is taken for it.
-- What is stored must stay readable to the library of the version before: both may run at once.
--
-- Functions are called with one key, the head; `peek` with those of several shards. The names of
-- the others are made from it.
--
-- KEYS and ARGV: none.
-- RETURNS of `loaded`, `open`, `open_in`: the shard; or nil, and the answer for the caller.

local SENTINEL = 'epoch'

local function keys_of(head, epoch)
  local room = string.sub(head, 1, -5) .. epoch
  return {
    orders = room .. ':orders',
    users = room .. ':users',
    waiting = room .. ':waiting',
    sentinel = SENTINEL .. ':' .. epoch,
  }
end

-- Whether no key of the epoch is missing.
local function is_whole(keys, epoch)
  return redis.call('HGET', keys.orders, SENTINEL) == epoch
    and redis.call('HGET', keys.users, SENTINEL) == epoch
    and redis.call('ZSCORE', keys.waiting, keys.sentinel) ~= false
end

-- The shard if it was loaded into this process and nothing of it is missing, also a closed one.
local function loaded(head, second)
  local here = identity(second)
  if not here then return nil, NO_MASTER end
  local fields = redis.call('HMGET', head, 'phase', 'epoch', 'fence', 'opens', 'closes', 'limit',
    'left', 'version', 'generation', 'watermark')
  local epoch = fields[2]
  if not epoch or fields[3] ~= here then return nil, { 'fenced' } end
  local shard = keys_of(head, epoch)
  if not is_whole(shard, epoch) then return nil, { 'fenced' } end
  shard.is_open = fields[1] == 'open'
  shard.epoch = epoch
  shard.opens, shard.closes = tonumber(fields[4]), tonumber(fields[5])
  shard.limit = tonumber(fields[6])
  shard.left, shard.version = tonumber(fields[7]), tonumber(fields[8])
  -- Of 64 bits, so they stay text: Lua's numbers have 53.
  shard.generation, shard.watermark = fields[9], fields[10]
  return shard
end

local function open(head, second)
  local shard, answer = loaded(head, second)
  if shard and not shard.is_open then return nil, { 'fenced' } end
  return shard, answer
end

local function open_in(head, epoch, second)
  local shard, answer = open(head, second)
  if shard and shard.epoch ~= epoch then return nil, { 'stale', shard.epoch } end
  return shard, answer
end

-- Lua passes no more than 8,000 arguments to one call. Even, so that no pair is torn apart.
local ARGUMENTS_MAX = 4000

-- `command key list...`, in as many calls as it takes.
local function write(command, key, list)
  for first = 1, #list, ARGUMENTS_MAX do
    local last = math.min(first + ARGUMENTS_MAX - 1, #list)
    redis.call(command, key, unpack(list, first, last))
  end
end

-- The values of the fields of a hash, in their order; false where there is none.
local function read(key, fields)
  if #fields <= ARGUMENTS_MAX then
    return #fields > 0 and redis.call('HMGET', key, unpack(fields)) or {}
  end
  local values = {}
  for first = 1, #fields, ARGUMENTS_MAX do
    local last = math.min(first + ARGUMENTS_MAX - 1, #fields)
    for _, value in ipairs(redis.call('HMGET', key, unpack(fields, first, last))) do
      values[#values + 1] = value
    end
  end
  return values
end
