//! Feedback scores and comments.
