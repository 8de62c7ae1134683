-- Who keeps the ledger: this process, in this life, with this history.
--
-- `run_id` is the process. It alone isn't enough: a failover from A to B and back gives it back
-- after writes were lost; `master_replid` has changed by then. Both are kept in a variable of the
-- library, which dies with the process, and are read again when the second changes.
--
-- KEYS and ARGV: none.
-- RETURNS the identity; nil if this is no master, whose state may lag behind.

local keeper = { second = nil, identity = nil }

local function identity(second)
  if keeper.second ~= second then
    local info = redis.call('INFO', 'server', 'replication')
    local run_id = string.match(info, 'run_id:(%x+)')
    local replid = string.match(info, 'master_replid:(%x+)')
    local is_master = string.match(info, 'role:(%a+)') == 'master'
    keeper.identity = is_master and run_id .. ':' .. replid or nil
    keeper.second = second
  end
  return keeper.identity
end

local NO_MASTER = { 'no master' }
