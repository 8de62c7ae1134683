-- Sessions: what signing in opens and a refresh token continues. One row a session, however often
-- it was refreshed: each of its tokens names the row, so any that isn't the present one is known to
-- be spent. Tokens themselves are never stored.
CREATE TABLE session (
    -- 128 random bits; stands in the session's tokens and nowhere else.
    session_id       BLOB    NOT NULL PRIMARY KEY CHECK (length(session_id) = 16),
    user_id          BLOB    NOT NULL,
    -- SHA-256 of the present token's secret. Changes by compare-and-set only.
    present_hash     BLOB    NOT NULL CHECK (length(present_hash) = 32),
    -- SHA-256 of the secret that was spent last, and the present secret in a wrapping that only the
    -- spent one opens, for who asks again because the answer was lost. NULL before the first use.
    spent_hash       BLOB    CHECK (length(spent_hash) = 32),
    wrapped_present  BLOB    CHECK (length(wrapped_present) = 32),
    -- Wall times, milliseconds since 1970. Used: opened or refreshed.
    opened_at_ms     INTEGER NOT NULL,
    used_at_ms       INTEGER NOT NULL,
    expires_at_ms    INTEGER NOT NULL,
    CHECK ((spent_hash IS NULL) = (wrapped_present IS NULL))
) STRICT;

-- A user's sessions, for the bound on their number.
CREATE INDEX session_by_user ON session (user_id, used_at_ms);
-- What the job removes.
CREATE INDEX session_by_end ON session (expires_at_ms);
