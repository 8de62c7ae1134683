-- Puts open holds off: each moves from its place to the end of the next row. One that isn't there
-- any more was put off by another caller, and waits twice as long already. Flagged allow-oom: it
-- moves what is there, and without it everything would be rolled forward every second.
--
-- KEYS: the head.
-- ARGV: the caller's epoch, then score and id of each.
-- RETURNS `ok`.

local function postpone(keys, args)
  local now, second = clock()
  local shard, refused = open_in(keys[1], args[1], second)
  if not shard then return refused end
  for i = 2, #args, 2 do
    local score, id = tonumber(args[i]), args[i + 1]
    local there = redis.call('ZSCORE', shard.waiting, id)
    if there and tonumber(there) == score then
      local attempts = math.min(ATTEMPTS_MAX, math.floor(score / ROW) + 1)
      redis.call('ZADD', shard.waiting, attempts * ROW + now, id)
    end
  end
  return { 'ok' }
end

register('postpone', postpone, { 'allow-oom' })
