//! Updating spans, before and after they are created.
