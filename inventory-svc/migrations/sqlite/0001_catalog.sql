-- The plan of every sale, and for each shard which epoch may be used. Ids are 16 bytes; times are
-- milliseconds since the Unix epoch.

CREATE TABLE sale (
    -- Order of creation, and the place in the list.
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    sale_id        BLOB    NOT NULL UNIQUE CHECK (length(sale_id) = 16),
    -- The operator's subject; with the request id it makes a repeated call harmless.
    created_by     TEXT    NOT NULL,
    request_id     TEXT    NOT NULL,
    title          TEXT    NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    -- All three are NULL while the sale is a draft, and never change afterwards.
    opens_ms       INTEGER,
    closes_ms      INTEGER,
    warm_up_s      INTEGER,
    UNIQUE (created_by, request_id),
    CHECK ((opens_ms IS NULL) = (closes_ms IS NULL)),
    CHECK ((opens_ms IS NULL) = (warm_up_s IS NULL)),
    CHECK (opens_ms < closes_ms)
) STRICT;

CREATE TABLE item (
    item_id        BLOB    PRIMARY KEY CHECK (length(item_id) = 16),
    sale_id        BLOB    NOT NULL REFERENCES sale (sale_id),
    position       INTEGER NOT NULL,
    sku            TEXT    NOT NULL,
    title          TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    unit_price     INTEGER NOT NULL CHECK (unit_price >= 0),
    total_units    INTEGER NOT NULL CHECK (total_units > 0),
    limit_per_user INTEGER NOT NULL CHECK (limit_per_user > 0),
    pay_within_s   INTEGER NOT NULL,
    UNIQUE (sale_id, position),
    UNIQUE (sale_id, sku)
) STRICT;

CREATE TABLE shard (
    -- Never used again: AUTOINCREMENT doesn't reuse the number of a deleted row.
    shard_no        INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id         BLOB    NOT NULL REFERENCES item (item_id),
    position        INTEGER NOT NULL,
    partition_id    INTEGER NOT NULL,
    total_units     INTEGER NOT NULL CHECK (total_units > 0),
    -- L of the protocol.
    lease_ms        INTEGER NOT NULL CHECK (lease_ms > 0),
    phase           TEXT    NOT NULL CHECK (phase IN ('NEW', 'LOADING', 'OPEN', 'RETIRED')),
    -- 0: none yet. Changes by compare-and-set only.
    epoch           INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    -- An operator's; loading never touches it.
    paused          INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    -- When the loader may be overtaken.
    loader_until_ms INTEGER NOT NULL DEFAULT 0,
    ledger_address  TEXT    NOT NULL DEFAULT '',
    UNIQUE (item_id, position),
    CHECK ((phase = 'NEW') = (epoch = 0))
) STRICT;

-- What every process reads several times a second, and what the jobs look for.
CREATE INDEX shard_by_phase ON shard (phase);
