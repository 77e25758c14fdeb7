//! Refused requests, row by row.
