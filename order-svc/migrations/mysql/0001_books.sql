-- The books on MySQL 8, 9 or MariaDB. Ids are 16 bytes, times are milliseconds since the Unix
-- epoch, epochs are positive and 0 stands for none. Numbers are 64-bit, so that whatever a record
-- of the journal may say fits: a row that doesn't would block its partition. The CHECKs are the
-- last line of defence of I-1 and I-4: the fold never asks for what they refuse. A migration that
-- fails is done again from its beginning: each statement has to bear that.

-- Which record of which journal is folded next. Its update comes first in every transaction and
-- serialises the writers of a partition.
CREATE TABLE IF NOT EXISTS journal_position (
    -- Kafka's cluster id, or the random one of an embedded broker: offsets of another journal mean
    -- nothing here.
    journal_identity VARCHAR(64) NOT NULL,
    partition_id     BIGINT      NOT NULL,
    next_offset      BIGINT      NOT NULL CHECK (next_offset >= 0),
    -- Grows with each transaction. A lower one than before says that the books are an older copy.
    generation       BIGINT      NOT NULL CHECK (generation >= 0),
    -- SHA-256 of the record before next_offset; NULL if there is none to compare with.
    last_digest      BINARY(32),
    PRIMARY KEY (journal_identity, partition_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The guard row of a shard.
CREATE TABLE IF NOT EXISTS shard (
    shard_no       BIGINT     NOT NULL PRIMARY KEY CHECK (shard_no > 0),
    partition_id   BIGINT     NOT NULL,
    sale_id        BINARY(16) NOT NULL,
    item_id        BINARY(16) NOT NULL,
    total          BIGINT     NOT NULL CHECK (total >= 0),
    limit_per_user BIGINT     NOT NULL,
    currency       VARCHAR(3) NOT NULL,
    pay_within_s   BIGINT     NOT NULL,
    -- Units of live orders.
    sold           BIGINT     NOT NULL CHECK (sold >= 0),
    open_epoch     BIGINT     NOT NULL CHECK (open_epoch >= 0),
    -- I-1.
    CONSTRAINT shard_sold_within_total CHECK (sold <= total)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
    -- Each order id once (I-4). It begins with the shard's number, so the rows of a shard lie
    -- together and a snapshot reads them in one stretch.
    order_id     BINARY(16) NOT NULL PRIMARY KEY,
    user_id      BINARY(16) NOT NULL,
    sale_id      BINARY(16) NOT NULL,
    item_id      BINARY(16) NOT NULL,
    shard_no     BIGINT     NOT NULL,
    quantity     BIGINT     NOT NULL CHECK (quantity > 0),
    unit_price   BIGINT     NOT NULL CHECK (unit_price >= 0),
    currency     VARCHAR(3) NOT NULL,
    -- 1 PLACED, 2 PAID, 3 CANCELLED, 4 EXPIRED, 5 REJECTED.
    state        TINYINT    NOT NULL CHECK (state BETWEEN 1 AND 5),
    held_at_ms   BIGINT     NOT NULL,
    placed_at_ms BIGINT     NOT NULL,
    pay_by_ms    BIGINT     NOT NULL,
    -- 1 for a live order of an item with a limit of 1, else NULL: at most one such order for each
    -- item and user. A column, since there is no partial index.
    live_slot    TINYINT CHECK (live_slot = 1),
    -- Also answers how many live units a user has of an item.
    UNIQUE KEY orders_live_slot (item_id, user_id, live_slot),
    -- A user's orders, the newest first.
    KEY orders_of_user (user_id, placed_at_ms, order_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Records that couldn't be read. The digest is part of the key: a journal that lost its tail grows
-- again, and another record may then stand at the same place.
CREATE TABLE IF NOT EXISTS dead_letter (
    journal_identity VARCHAR(64) NOT NULL,
    partition_id     BIGINT      NOT NULL,
    record_offset    BIGINT      NOT NULL,
    digest           BINARY(32)  NOT NULL,
    reason           TEXT        NOT NULL,
    bytes            MEDIUMBLOB  NOT NULL,
    found_at_ms      BIGINT      NOT NULL,
    PRIMARY KEY (journal_identity, partition_id, record_offset, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
