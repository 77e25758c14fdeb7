//! Random sequences of writes, held against a simple model after each step.
