-- One look at a shard.
--
-- KEYS: the head. ARGV: none.
-- RETURNS `open`, the epoch, the version and the units left; or `closed` and the mark; or `fenced`.

local function peek(keys)
  local _, second = clock()
  local shard, refused = loaded(keys[1], second)
  if shard and shard.is_open then return { 'open', shard.epoch, shard.version, shard.left } end
  if refused == NO_MASTER then return refused end
  local fields = redis.call('HMGET', keys[1], 'phase', 'mark')
  if fields[1] == 'closed' then return { 'closed', fields[2] } end
  return { 'fenced' }
end

register('peek', peek, { 'no-writes' })
