-- Drops all keys of a shard that attempt `mark` has closed. From then on it is fenced, as one that
-- was never there. Idempotent: where no head is, there is nothing to drop.
--
-- KEYS: the head.
-- ARGV: the mark, which is the attempt's id.
-- RETURNS `ok`, or `mark lost`: nothing was dropped.

local function forget(keys, args)
  local _, second = clock()
  if not identity(second) then return NO_MASTER end
  local head, mark = keys[1], args[1]
  local fields = redis.call('HMGET', head, 'phase', 'mark', 'epoch')
  if not fields[1] then return { 'ok' } end
  if fields[1] ~= 'closed' or fields[2] ~= mark then return { 'mark lost' } end
  attempts[head] = nil
  local staged = keys_of(head, mark)
  redis.call('UNLINK', head, staged.orders, staged.users, staged.waiting)
  if fields[3] then
    local room = keys_of(head, fields[3])
    redis.call('UNLINK', room.orders, room.users, room.waiting)
  end
  return { 'ok' }
end

register('forget', forget, { 'allow-oom' })
