-- What became of operators' tokens, on MySQL 8, 9 or MariaDB. Tokens themselves are never stored.
-- A migration that fails is done again from its beginning: each statement has to bear that.

-- Tokens that are void: those of a name, or of everyone (the empty name), made before a moment.
-- Only ever raised. A row that no living token can be concerned by is removed, but for everyone's,
-- which is there from the beginning: who revokes locks it first.
CREATE TABLE IF NOT EXISTS operator_revocation (
    -- Bytes, so that no collation takes two names for the same.
    whose           VARBINARY(256) NOT NULL PRIMARY KEY,
    -- Wall time, seconds since 1970.
    issued_before_s BIGINT         NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO operator_revocation (whose, issued_before_s) VALUES ('', 0);

-- Who made which token, and who revoked whose. Rows are added, and never changed or removed.
CREATE TABLE IF NOT EXISTS operator_audit (
    event_id        BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    -- Wall time, milliseconds since 1970.
    at_ms           BIGINT         NOT NULL,
    -- Who did it, and the id of the token that was shown for it.
    by_name         VARBINARY(256) NOT NULL,
    by_token        VARBINARY(256) NOT NULL,
    -- Whose token was made, or whose tokens were revoked (the empty name: everyone's).
    whose           VARBINARY(256) NOT NULL,
    -- Of a token that was made: its id, its rights by name, its end in seconds since 1970.
    token           VARBINARY(256) NULL,
    rights          VARBINARY(256) NULL,
    expires_at_s    BIGINT         NULL,
    -- Of a revocation: seconds since 1970. NULL says that a token was made.
    issued_before_s BIGINT         NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
