//! Producer ids, epochs, sequences and transaction states.
#![forbid(unsafe_code)]
