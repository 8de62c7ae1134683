//! The proof: the whole system, tested as one
