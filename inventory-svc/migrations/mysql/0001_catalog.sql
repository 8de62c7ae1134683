-- The plan of every sale, and for each shard which epoch may be used, on MySQL 8, 9 or MariaDB. Ids
-- are 16 bytes; times are milliseconds since the Unix epoch; numbers are 64-bit and signed, so that
-- differences may be negative. Texts that are keys are bytes: a collation would take some of them
-- for the same. A migration that fails is done again from its beginning: each statement has to bear
-- that.

CREATE TABLE IF NOT EXISTS sale (
    -- Order of creation, and the place in the list.
    seq            BIGINT         NOT NULL PRIMARY KEY AUTO_INCREMENT,
    sale_id        BINARY(16)     NOT NULL UNIQUE,
    -- The operator's subject; with the request id it makes a repeated call harmless.
    created_by     VARBINARY(512) NOT NULL,
    request_id     VARBINARY(256) NOT NULL,
    title          VARCHAR(200)   NOT NULL,
    created_at_ms  BIGINT         NOT NULL,
    -- All three are NULL while the sale is a draft, and never change afterwards.
    opens_ms       BIGINT,
    closes_ms      BIGINT,
    warm_up_s      BIGINT,
    UNIQUE KEY sale_of_request (created_by, request_id),
    CHECK ((opens_ms IS NULL) = (closes_ms IS NULL)),
    CHECK ((opens_ms IS NULL) = (warm_up_s IS NULL)),
    CHECK (opens_ms < closes_ms)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS item (
    item_id        BINARY(16)     NOT NULL PRIMARY KEY,
    sale_id        BINARY(16)     NOT NULL,
    position       BIGINT         NOT NULL,
    sku            VARBINARY(256) NOT NULL,
    title          VARCHAR(200)   NOT NULL,
    currency       VARCHAR(3)     NOT NULL,
    unit_price     BIGINT         NOT NULL CHECK (unit_price >= 0),
    total_units    BIGINT         NOT NULL CHECK (total_units > 0),
    limit_per_user BIGINT         NOT NULL CHECK (limit_per_user > 0),
    pay_within_s   BIGINT         NOT NULL,
    UNIQUE KEY item_by_position (sale_id, position),
    UNIQUE KEY item_by_sku (sale_id, sku),
    FOREIGN KEY (sale_id) REFERENCES sale (sale_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS shard (
    -- Never used again: InnoDB keeps its counter over restarts.
    shard_no        BIGINT         NOT NULL PRIMARY KEY AUTO_INCREMENT,
    item_id         BINARY(16)     NOT NULL,
    position        BIGINT         NOT NULL,
    partition_id    BIGINT         NOT NULL,
    total_units     BIGINT         NOT NULL CHECK (total_units > 0),
    -- L of the protocol.
    lease_ms        BIGINT         NOT NULL CHECK (lease_ms > 0),
    phase           VARCHAR(7)     NOT NULL CHECK (phase IN ('NEW', 'LOADING', 'OPEN', 'RETIRED')),
    -- 0: none yet. Changes by compare-and-set only.
    epoch           BIGINT         NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    -- An operator's; loading never touches it.
    paused          TINYINT        NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    -- When the loader may be overtaken.
    loader_until_ms BIGINT         NOT NULL DEFAULT 0,
    ledger_address  VARCHAR(1024)  NOT NULL DEFAULT '',
    UNIQUE KEY shard_by_position (item_id, position),
    -- What every process reads several times a second, and what the jobs look for.
    KEY shard_by_phase (phase),
    CHECK ((phase = 'NEW') = (epoch = 0)),
    FOREIGN KEY (item_id) REFERENCES item (item_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
