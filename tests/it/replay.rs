//! Requests as the official SDKs sent them.
