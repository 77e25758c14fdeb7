//! Starting, stopping, and what is left behind.
