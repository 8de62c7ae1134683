-- When attempts were placed, and which of them may still take a hold. One that was placed longer
-- ago than any attempt lasts may not, nor one that was placed before somebody was told that there
-- is nothing of its order: that bars the order for all attempts so far.
--
-- Time as admission knows it never goes back: a step back of a second is smoothed over, a longer
-- one is refused until the shard is loaded anew or the clock has caught up.
--
-- Kept in a variable of the library, as the identity is: a process that has lost it admits only
-- what was placed since, so nothing of it need be written.
--
-- KEYS and ARGV: none. Times are microseconds.
-- RETURNS of `attempts_at`: what is remembered of the shard, and the time that counts; or nil, and
--   the answer for the caller.

local LASTS_US = 10000000
local STEP_BACK_US = 1000000
-- A bar takes some 100 bytes: 20 MB for a shard at most, in two generations.
local BARS_MAX = 100000

local attempts = {}

local function begin_attempts(head, epoch, since)
  attempts[head] =
    { epoch = epoch, since = since, last = since, turned = since, young = {}, old = {}, len = 0 }
  return attempts[head]
end

local function attempts_at(head, epoch, now)
  local known = attempts[head]
  if not known or known.epoch ~= epoch then known = begin_attempts(head, epoch, now) end
  if now + STEP_BACK_US < known.last then return nil, { 'clock back' } end
  known.last = math.max(known.last, now)
  return known, known.last
end

-- From now on, no attempt that was placed up to now takes a hold for the order. Whether there was
-- room to remember that.
local function bar(known, id, now)
  if now >= known.turned + LASTS_US then
    known.old, known.young, known.turned, known.len = known.young, {}, now, 0
  end
  if not known.young[id] then
    if known.len >= BARS_MAX then return false end
    known.len = known.len + 1
  end
  known.young[id] = now
  return true
end

local function may_hold(known, id, placed, now)
  local barred = known.young[id] or known.old[id] or known.since
  return placed > barred and now < placed + LASTS_US
end
