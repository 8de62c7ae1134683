-- Functions carry the version of the library in their names, which are global in Redis, so that two
-- versions can live side by side. `NAMES` is what they begin with.
--
-- KEYS, ARGV, RETURNS: none.

local function register(name, callback, flags)
  redis.register_function({ function_name = NAMES .. name, callback = callback, flags = flags })
end
