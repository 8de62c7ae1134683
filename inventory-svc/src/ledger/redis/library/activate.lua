-- Makes what was staged the shard's epoch, fenced to this process, and opens it. The head points to
-- the epoch's keys, so it takes as long for a million orders as for none. To be sent once.
--
-- KEYS: the head.
-- ARGV: `to`; the identity that `begin_staging` has answered; how many orders the snapshot has;
--   opens, closes (milliseconds since the Unix epoch), limit per user, stock, generation of the
--   books' position row, movement watermark.
-- RETURNS `ok`, `identity changed`, `already active`, `mark lost`, or `incomplete` and how many
--   orders are staged.

local function activate(keys, args)
  local _, second = clock()
  local here = identity(second)
  if not here then return NO_MASTER end
  local head, to = keys[1], args[1]
  if here ~= args[2] then return { 'identity changed' } end
  local before = redis.call('HGET', head, 'epoch')
  if before == to then return { 'already active' } end
  local room = staging(head, to)
  if not room then return { 'mark lost' } end
  local staged = is_whole(room, to) and redis.call('HLEN', room.orders) - 1 or nil
  if staged ~= tonumber(args[3]) then return { 'incomplete', staged or 0 } end

  redis.call('PERSIST', room.orders)
  redis.call('PERSIST', room.users)
  redis.call('PERSIST', room.waiting)
  redis.call('HSET', head, 'phase', 'open', 'epoch', to, 'fence', here, 'opens', args[4],
    'closes', args[5], 'limit', args[6], 'left', args[7], 'version', 1, 'generation', args[8],
    'watermark', args[9])
  begin_attempts(head, to, 0)
  if before then
    local old = keys_of(head, before)
    redis.call('UNLINK', old.orders, old.users, old.waiting)
  end
  return { 'ok' }
end

register('activate', activate, { 'allow-oom' })
