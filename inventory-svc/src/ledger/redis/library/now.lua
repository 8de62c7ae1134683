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
