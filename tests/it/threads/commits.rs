//! Writes that share a commit do what they would do one after the other.
