-- Puts open holds off: each moves to the end of the next row. Flagged allow-oom: it moves what is
-- there, and without it everything would be rolled forward every second.
--
-- KEYS: the head.
-- ARGV: the caller's epoch, then the ids.
-- RETURNS `ok`.

local function postpone(keys, args)
  local now, second = clock()
  local shard, refused = open_in(keys[1], args[1], second)
  if not shard then return refused end
  for i = 2, #args do
    local score = redis.call('ZSCORE', shard.waiting, args[i])
    if score then
      local attempts = math.min(ATTEMPTS_MAX, math.floor(score / ROW) + 1)
      redis.call('ZADD', shard.waiting, attempts * ROW + now, args[i])
    end
  end
  return { 'ok' }
end

register('postpone', postpone, { 'allow-oom' })
