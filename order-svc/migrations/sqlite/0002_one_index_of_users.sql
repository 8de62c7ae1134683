-- One index where there were two: each of them cost a new order as much as its row, and one that
-- begins with the user serves both. A user's orders are few, and sorted when they are asked for.
-- Books of some size are locked while it is made: some seconds for a million orders.

DROP INDEX orders_of_user;
DROP INDEX orders_live_slot;

-- At most one live order for each user of an item with a limit of 1 (I-4); a user's orders; and how
-- many live units a user has of an item.
CREATE UNIQUE INDEX orders_of_user_and_item ON orders (user_id, item_id, live_slot);
