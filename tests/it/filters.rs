//! Filters, sorting and searching, held against a plain evaluation in memory.
