-- Refuses admission until `mark` is activated, also of a shard that is fenced or isn't there, and
-- forgets what another attempt has staged. Idempotent. Holds and decisions of the epoch before stay
-- where they are, for whoever wants to save them.
--
-- KEYS: the head.
-- ARGV: the mark, which is the attempt's id.
-- RETURNS `ok`.

local function close(keys, args)
  local head, mark = keys[1], args[1]
  local before = redis.call('HMGET', head, 'mark', 'epoch')
  local staged = before[1]
  -- A late close may name the epoch that is open: what was staged for it is the epoch by now.
  if staged and staged ~= mark and staged ~= before[2] then
    local room = keys_of(head, staged)
    redis.call('UNLINK', room.orders, room.users, room.waiting)
  end
  redis.call('HSET', head, 'phase', 'closed', 'mark', mark)
  return { 'ok' }
end

register('close', close, { 'allow-oom' })
