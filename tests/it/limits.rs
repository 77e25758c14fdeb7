//! Every limit of the document, from just inside and just outside.
