-- Takes a unit if there is one.
-- KEYS[1]: the stock, a number
-- ARGV: none
-- RETURNS: 1 if one was taken, 0 if there is none
if tonumber(redis.call('GET', KEYS[1])) < 1 then
  return 0
end
redis.call('DECR', KEYS[1])
return 1
