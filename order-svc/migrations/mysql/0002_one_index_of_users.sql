-- One index where there were two: each of them cost a new order as much as its row, and one that
-- begins with the user serves both. A user's orders are few, and sorted when they are asked for.
-- The servers have no DROP INDEX IF EXISTS in common, and what is half done is done again: so it is
-- one statement, which happens whole or not at all, and is left out if it has happened.
-- The key: at most one live order for each user of an item with a limit of 1 (I-4); a user's
-- orders; and how many live units a user has of an item.
SET @is_to_do = (
    SELECT COUNT(*) FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'orders' AND index_name = 'orders_live_slot'
);
SET @change = IF(
    @is_to_do > 0,
    'ALTER TABLE orders
        ADD UNIQUE KEY orders_of_user_and_item (user_id, item_id, live_slot),
        DROP KEY orders_live_slot,
        DROP KEY orders_of_user',
    'DO 0'
);
PREPARE change_it FROM @change;
EXECUTE change_it;
DEALLOCATE PREPARE change_it;
