//! Pages, searches and statistics of threads.
