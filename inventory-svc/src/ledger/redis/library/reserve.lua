-- Takes units for each entry, in their order and each by itself. The only function that takes any
-- (law A). Never flagged allow-oom: a ledger that can't remember a hold must not admit it.
--
-- Order of checks (protocol, section 3): fence, missing keys, closed; the epoch; then for each
-- entry a known id, the window, the ticket's end, the pause, the limit, the stock, and whether an
-- attempt that was placed then may still take a hold (`attempts.lua`).
--
-- KEYS: the head.
-- ARGV: the caller's epoch; `1` if an operator has paused; then the entries, each in one piece of
--   bytes, numbers big-endian: order 16, user 16, units 4, price 8, ticket's end 8, placed at 8
--   (microseconds by this clock; all ones if nobody says), traceparent.
-- RETURNS `clock back`; or `ok`, units left, version, microseconds, one letter for each entry, and
--   in their order the records of those that are held (`H`) or were before (`O`). Known ones are
--   `P`, `R`, `L`; refusals are `n` not open, `c` closed, `e` the ticket has expired, `p` paused,
--   `l` limit reached, `s` sold out, `t` the attempt is too late.

local function reserve(keys, args)
  local head = keys[1]
  local _, second, now_us = clock()
  local shard, refused = open_in(head, args[1], second)
  if not shard then return refused end
  local so_far, told = attempts_at(head, shard.epoch, now_us)
  if not so_far then return told end
  now_us = told
  local now = math.floor(now_us / 1000)

  local sub, unpack_bytes = string.sub, struct.unpack
  local ids, users = {}, {}
  for i = 3, #args do
    ids[i - 2] = sub(args[i], 1, 16)
    users[i - 2] = sub(args[i], 17, 32)
  end
  local known, units = read(shard.orders, ids), read(shard.users, users)
  local shut = now < shard.opens and 'n' or now >= shard.closes and 'c' or nil
  local is_paused = args[2] == '1'
  local now_bytes = struct.pack('>I8', now)

  local left, version = shard.left, shard.version
  local letters, answer = {}, { 'ok', 0, 0, now_us, '' }
  -- What this batch itself has taken: an id or a user may be named twice.
  local taken, has = {}, {}
  local new_orders, new_users, new_places = {}, {}, {}
  for i, id in ipairs(ids) do
    local record, letter = taken[id] or known[i], nil
    if record then
      letter = sub(record, 1, 1)
    else
      local entry, user = args[i + 2], users[i]
      local wanted, ends, placed = unpack_bytes('>I4xxxxxxxxI8I8', entry, 33)
      local would_have = (has[user] or tonumber(units[i]) or 0) + wanted
      letter = shut
        or now >= ends and 'e'
        or is_paused and 'p'
        or would_have > shard.limit and 'l'
        or left < wanted and 's'
        or not may_hold(so_far, id, placed, now_us) and 't'
        or 'H'
      if letter == 'H' then
        record = 'O' .. sub(entry, 17, 44) .. now_bytes .. sub(entry, 61)
        left, version = left - wanted, version + 1
        taken[id], has[user] = record, would_have
        local n = #new_orders
        new_orders[n + 1], new_orders[n + 2] = id, record
        new_users[n + 1], new_users[n + 2] = user, would_have
        new_places[n + 1], new_places[n + 2] = now, id
      end
    end
    letters[i] = letter
    if letter == 'H' or letter == 'O' then answer[#answer + 1] = record end
  end

  if #new_orders > 0 then
    write('HSET', shard.orders, new_orders)
    write('HSET', shard.users, new_users)
    write('ZADD', shard.waiting, new_places)
    redis.call('HSET', head, 'left', left, 'version', version)
  end
  answer[2], answer[3], answer[5] = left, version, table.concat(letters)
  return answer
end

register('reserve', reserve, {})
