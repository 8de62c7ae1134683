-- What is known of order ids.
--
-- KEYS: the head.
-- ARGV: the caller's epoch, then the ids.
-- RETURNS `ok` and a letter for each id: that of its record, or `-`.

local function find(keys, args)
  local _, second = clock()
  local shard, refused = open_in(keys[1], args[1], second)
  if not shard then return refused end
  local letters = {}
  for i, record in ipairs(read(shard.orders, { unpack(args, 2) })) do
    letters[i] = record and string.sub(record, 1, 1) or '-'
  end
  return { 'ok', table.concat(letters) }
end

register('find', find, { 'no-writes' })
