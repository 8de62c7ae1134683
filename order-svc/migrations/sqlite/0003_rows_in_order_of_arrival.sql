-- Orders as rows in the order in which they come, and narrow indexes beside them, instead of one
-- wide tree in the order of their random ids: a batch of orders changes fewer pages. The index
-- begins with the item, since a rush is for one item: what it changes lies together, however many
-- orders there are of others. A user's orders are found item by item.
--
-- Without CHECKs that call a function: SQLite takes such for something that may fail at any row,
-- and copies each page before a statement of many rows changes it. That ids have 16 bytes is seen
-- to by their types, and when they are read back.
-- Books of some size are locked meanwhile: some seconds for a million orders.

CREATE TABLE orders_in_order_of_arrival (
    order_id     BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL,
    sale_id      BLOB    NOT NULL,
    item_id      BLOB    NOT NULL,
    shard_no     INTEGER NOT NULL,
    quantity     INTEGER NOT NULL CHECK (quantity > 0),
    unit_price   INTEGER NOT NULL CHECK (unit_price >= 0),
    currency     TEXT    NOT NULL,
    -- 1 PLACED, 2 PAID, 3 CANCELLED, 4 EXPIRED, 5 REJECTED.
    state        INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
    held_at_ms   INTEGER NOT NULL,
    placed_at_ms INTEGER NOT NULL,
    pay_by_ms    INTEGER NOT NULL,
    -- 1 for a live order of an item with a limit of 1, else NULL: at most one such order for each
    -- item and user. A column and no partial index, since MySQL has none.
    live_slot    INTEGER CHECK (live_slot = 1)
) STRICT;

INSERT INTO orders_in_order_of_arrival
    (order_id, user_id, sale_id, item_id, shard_no, quantity, unit_price, currency, state,
     held_at_ms, placed_at_ms, pay_by_ms, live_slot)
SELECT order_id, user_id, sale_id, item_id, shard_no, quantity, unit_price, currency, state,
       held_at_ms, placed_at_ms, pay_by_ms, live_slot
FROM orders;

DROP TABLE orders;
ALTER TABLE orders_in_order_of_arrival RENAME TO orders;

-- At most one live order for each user of an item with a limit of 1 (I-4), and how many live units
-- a user has of an item.
CREATE UNIQUE INDEX orders_of_item_and_user ON orders (item_id, user_id, live_slot);
