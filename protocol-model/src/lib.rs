//! The protocol as a model: every order of steps and faults, searched in small sizes. The load
//! attempt, the fold and the ledger are the code's own; the stores and the network are made here.
