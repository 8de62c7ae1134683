-- The books. Ids are blobs of 16 bytes, times are milliseconds since the Unix epoch, epochs are
-- positive and 0 stands for none. The CHECKs are the last line of defence of I-1 and I-4: the fold
-- never asks for what they refuse.

-- Which record of which journal is folded next. Its update comes first in every transaction and
-- serialises the writers of a partition.
CREATE TABLE journal_position (
    -- Kafka's cluster id, or the random one of an embedded broker: offsets of another journal mean
    -- nothing here.
    journal_identity TEXT    NOT NULL,
    partition_id     INTEGER NOT NULL,
    next_offset      INTEGER NOT NULL CHECK (next_offset >= 0),
    -- Grows with each transaction. A lower one than before says that the books are an older copy.
    generation       INTEGER NOT NULL CHECK (generation >= 0),
    -- SHA-256 of the record before next_offset; NULL if there is none to compare with.
    last_digest      BLOB    CHECK (length(last_digest) = 32),
    PRIMARY KEY (journal_identity, partition_id)
) STRICT, WITHOUT ROWID;

-- The guard row of a shard.
CREATE TABLE shard (
    shard_no       INTEGER NOT NULL PRIMARY KEY CHECK (shard_no > 0),
    partition_id   INTEGER NOT NULL,
    sale_id        BLOB    NOT NULL CHECK (length(sale_id) = 16),
    item_id        BLOB    NOT NULL CHECK (length(item_id) = 16),
    total          INTEGER NOT NULL CHECK (total >= 0),
    limit_per_user INTEGER NOT NULL,
    currency       TEXT    NOT NULL,
    pay_within_s   INTEGER NOT NULL,
    -- Units of live orders.
    sold           INTEGER NOT NULL CHECK (sold >= 0),
    open_epoch     INTEGER NOT NULL CHECK (open_epoch >= 0),
    -- I-1.
    CHECK (sold <= total)
) STRICT;

-- Each order id once (I-4). The id begins with the shard's number, so the rows of a shard lie
-- together and a snapshot reads them in one stretch.
CREATE TABLE orders (
    order_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(order_id) = 16),
    user_id      BLOB    NOT NULL CHECK (length(user_id) = 16),
    sale_id      BLOB    NOT NULL,
    item_id      BLOB    NOT NULL CHECK (length(item_id) = 16),
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
) STRICT, WITHOUT ROWID;

-- Also answers how many live units a user has of an item.
CREATE UNIQUE INDEX orders_live_slot ON orders (item_id, user_id, live_slot);

-- A user's orders, the newest first.
CREATE INDEX orders_of_user ON orders (user_id, placed_at_ms, order_id);

-- Records that couldn't be read. The digest is part of the key: a journal that lost its tail grows
-- again, and another record may then stand at the same place.
CREATE TABLE dead_letter (
    journal_identity TEXT    NOT NULL,
    partition_id     INTEGER NOT NULL,
    record_offset    INTEGER NOT NULL,
    digest           BLOB    NOT NULL CHECK (length(digest) = 32),
    reason           TEXT    NOT NULL,
    bytes            BLOB    NOT NULL,
    found_at_ms      INTEGER NOT NULL,
    PRIMARY KEY (journal_identity, partition_id, record_offset, digest)
) STRICT;
