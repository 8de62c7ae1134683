//! Who: accounts, credentials, tokens
