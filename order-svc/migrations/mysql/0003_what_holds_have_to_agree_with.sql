-- The servers have no ADD COLUMN IF NOT EXISTS in common, and what is half done is done again: so
-- each column is left out if it is there. Neither rewrites its table.

-- The item's price, which every hold of the shard has to have. NULL in rows of before: not known,
-- so no price is refused there.
SET @is_to_do = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'shard' AND column_name = 'unit_price'
);
SET @change = IF(@is_to_do, 'ALTER TABLE shard ADD COLUMN unit_price BIGINT', 'DO 0');
PREPARE change_it FROM @change;
EXECUTE change_it;
DEALLOCATE PREPARE change_it;

-- Why a REJECTED order was refused: 1 more than was left, 2 above the limit, 3 a unique key, 4 of
-- another item, 5 at another price. NULL in all others, and in rows of before.
SET @is_to_do = (
    SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'orders' AND column_name = 'refusal'
);
SET @change = IF(@is_to_do, 'ALTER TABLE orders ADD COLUMN refusal BIGINT', 'DO 0');
PREPARE change_it FROM @change;
EXECUTE change_it;
DEALLOCATE PREPARE change_it;
