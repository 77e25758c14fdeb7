//! Every operation, and every answer it documents, is provoked.
