-- What became of operators' tokens. Tokens themselves are never stored.

-- Tokens that are void: those of a name, or of everyone (the empty name), made before a moment.
-- Only ever raised. A row that no living token can be concerned by is removed, but for everyone's,
-- which is there from the beginning: who revokes locks it first.
CREATE TABLE operator_revocation (
    whose           BLOB    NOT NULL PRIMARY KEY,
    -- Wall time, seconds since 1970.
    issued_before_s INTEGER NOT NULL
) STRICT;
INSERT INTO operator_revocation (whose, issued_before_s) VALUES (x'', 0);

-- Who made which token, and who revoked whose. Rows are added, and never changed or removed.
CREATE TABLE operator_audit (
    event_id        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- Wall time, milliseconds since 1970.
    at_ms           INTEGER NOT NULL,
    -- Who did it, and the id of the token that was shown for it.
    by_name         BLOB    NOT NULL,
    by_token        BLOB    NOT NULL,
    -- Whose token was made, or whose tokens were revoked (the empty name: everyone's).
    whose           BLOB    NOT NULL,
    -- Of a token that was made: its id, its rights by name, its end in seconds since 1970.
    token           BLOB,
    rights          BLOB,
    expires_at_s    INTEGER,
    -- Of a revocation: seconds since 1970. NULL says that a token was made.
    issued_before_s INTEGER,
    CHECK ((token IS NULL) = (issued_before_s IS NOT NULL))
) STRICT;
