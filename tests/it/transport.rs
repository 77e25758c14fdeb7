//! Packing, addresses and answers around the operations.
