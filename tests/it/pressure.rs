//! What clients are told when a write cannot be taken now.
