//! The generated document: committed, complete, and the published contract.
