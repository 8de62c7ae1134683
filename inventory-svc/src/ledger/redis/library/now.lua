-- The time that admission goes by.
--
-- KEYS and ARGV: none.
-- RETURNS `ok` and milliseconds since the Unix epoch.

local function now()
  local now_ms, second = clock()
  if not identity(second) then return NO_MASTER end
  return { 'ok', now_ms }
end

register('now', now, { 'no-writes' })

-- The same, and Redis refuses to call it where it wouldn't keep what it is told: on a full disk,
-- and without the replicas that it must have. Full memory is no reason: holds can be settled.
register('ready', now, { 'allow-oom' })
