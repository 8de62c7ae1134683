-- The time of a call, by Redis' own clock: one for all gateways (protocol, section 3).
--
-- KEYS and ARGV: none.
-- RETURNS milliseconds since the Unix epoch, the second (text) that `keeper.lua` goes by, and
--   microseconds.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[1], time[1] * 1000000 + time[2]
end
