//! Real stores for tests: the shared ones that `make stores` started, and ones of their own that a
//! test may kill, empty and damage.
