-- Accounts on MySQL 8, 9 or MariaDB: who may sign in. The e-mail address is personal data: it
-- stands in this table and nowhere else, neither in logs nor in tokens. A migration that fails is
-- done again from its beginning: each statement has to bear that.
CREATE TABLE IF NOT EXISTS account (
    -- A random UUID, minted by user-svc.
    user_id       BINARY(16)     NOT NULL PRIMARY KEY,
    -- The address in lower case: the one address has one account, however it is spelled. Bytes, so
    -- that no collation takes two addresses for the same.
    email_key     VARBINARY(254) NOT NULL UNIQUE,
    -- PHC text of argon2id; names its own salt and cost, so that the cost can change later.
    password_hash VARCHAR(512)   NOT NULL,
    -- Wall time, milliseconds since 1970.
    created_at_ms BIGINT         NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
