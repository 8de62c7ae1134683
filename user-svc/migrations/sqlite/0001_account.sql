-- Accounts: who may sign in. The e-mail address is personal data: it stands in this table and
-- nowhere else, neither in logs nor in tokens.
CREATE TABLE account (
    -- A random UUID, minted by user-svc.
    user_id       BLOB    NOT NULL PRIMARY KEY CHECK (length(user_id) = 16),
    -- The address in lower case: the one address has one account, however it is spelled.
    email_key     TEXT    NOT NULL UNIQUE,
    -- PHC text of argon2id; names its own salt and cost, so that the cost can change later.
    password_hash TEXT    NOT NULL,
    -- Wall time, milliseconds since 1970.
    created_at_ms INTEGER NOT NULL
) STRICT;
