-- What is known of order ids. Who will say that there is nothing bars them, so that nothing comes
-- of attempts that are under way (`attempts.lua`). It writes no key, so it is flagged no-writes.
--
-- KEYS: the head.
-- ARGV: the caller's epoch; `1` to bar the ids of which there is nothing; then the ids.
-- RETURNS `clock back`; or `ok`, microseconds, and a letter for each id: that of its record, `-`
--   for nothing, `?` for nothing that could be barred.

local function find(keys, args)
  local _, second, now_us = clock()
  local shard, refused = open_in(keys[1], args[1], second)
  if not shard then return refused end
  local so_far, told = attempts_at(keys[1], shard.epoch, now_us)
  if not so_far then return told end
  local bars, letters = args[2] == '1', {}
  for i, record in ipairs(read(shard.orders, { unpack(args, 3) })) do
    letters[i] = record and string.sub(record, 1, 1)
      or bars and not bar(so_far, args[i + 2], told) and '?'
      or '-'
  end
  return { 'ok', told, table.concat(letters) }
end

register('find', find, { 'no-writes' })
