-- Sessions on MySQL 8, 9 or MariaDB: what signing in opens and a refresh token continues. One row a
-- session, however often it was refreshed: each of its tokens names the row, so any that isn't the
-- present one is known to be spent. Tokens themselves are never stored.
CREATE TABLE IF NOT EXISTS session (
    -- 128 random bits; stands in the session's tokens and nowhere else.
    session_id       BINARY(16) NOT NULL PRIMARY KEY,
    user_id          BINARY(16) NOT NULL,
    -- SHA-256 of the present token's secret. Changes by compare-and-set only.
    present_hash     BINARY(32) NOT NULL,
    -- SHA-256 of the secret that was spent last, and the present secret in a wrapping that only the
    -- spent one opens, for who asks again because the answer was lost. NULL before the first use.
    spent_hash       BINARY(32) NULL,
    wrapped_present  BINARY(32) NULL,
    -- Wall times, milliseconds since 1970. Used: opened or refreshed.
    opened_at_ms     BIGINT     NOT NULL,
    used_at_ms       BIGINT     NOT NULL,
    expires_at_ms    BIGINT     NOT NULL,
    -- A user's sessions, for the bound on their number.
    KEY session_by_user (user_id, used_at_ms),
    -- What the job removes.
    KEY session_by_end (expires_at_ms)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
