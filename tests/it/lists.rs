//! Pages, streams and statistics of many spans.
