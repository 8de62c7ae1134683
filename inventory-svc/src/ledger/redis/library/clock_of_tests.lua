-- In the place of `clock.lua` in builds for tests: time stands still until a test moves it.
--
-- KEYS: `test:now`, milliseconds since the Unix epoch; it is not declared. ARGV: none.
-- RETURNS that, the second (text) of Redis' own clock, and the former in microseconds.

local function clock()
  local now = tonumber(redis.call('GET', 'test:now'))
  return now, redis.call('TIME')[1], now * 1000
end
