-- Where open holds wait for the books: a sorted set by place, so that looking for overdue holds
-- costs what is found and not what is open. A place is how often the hold was put off (its row) and
-- since when it waits. Both fit into one score, which stays exact: rows are 2^44 ms (557 years)
-- long, and there are seven. Holds of equal score stand in the order of their ids.
--
-- The back-off of the roll-forward: 5 s, 10 s, 20 s ... 5 min.
--
-- KEYS, ARGV, RETURNS: none.

local ROW = 2 ^ 44
local ATTEMPTS_MAX = 6
-- Before all rows, so that no hold stands ahead of it.
local SENTINEL_SCORE = -1

local function patience_ms(attempts)
  return attempts < ATTEMPTS_MAX and 5000 * 2 ^ attempts or 300000
end

-- Holds for an answer: id, score and record of each.
local function append_holds(answer, shard, ids, scores)
  for i, record in ipairs(read(shard.orders, ids)) do
    answer[#answer + 1] = ids[i]
    answer[#answer + 1] = scores[i]
    answer[#answer + 1] = record
  end
  return answer
end
