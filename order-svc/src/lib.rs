//! What was bought: the books, the life of an order
