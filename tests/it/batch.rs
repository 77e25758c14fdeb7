//! Creating spans in batches.
