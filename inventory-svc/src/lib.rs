//! What is left: sales, items, the ledger of stock and holds, loading a shard
