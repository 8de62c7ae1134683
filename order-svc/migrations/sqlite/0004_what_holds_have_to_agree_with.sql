-- The item's price, which every hold of the shard has to have. NULL in rows of before: not known,
-- so no price is refused there.
ALTER TABLE shard ADD COLUMN unit_price INTEGER CHECK (unit_price >= 0);

-- Why a REJECTED order was refused: 1 more than was left, 2 above the limit, 3 a unique key, 4 of
-- another item, 5 at another price. NULL in all others, and in rows of before.
ALTER TABLE orders ADD COLUMN refusal INTEGER;
