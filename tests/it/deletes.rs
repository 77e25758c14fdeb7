//! Deleting spans, and updating many.
