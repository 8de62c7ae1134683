-- In the place of `clock.lua` in builds for tests: time stands still until a test moves it.
--
-- KEYS: `test:now`, milliseconds since the Unix epoch; it is not declared. ARGV: none.
-- RETURNS that, and the second (text) of Redis' own clock.

local function clock()
  return tonumber(redis.call('GET', 'test:now')), redis.call('TIME')[1]
end
