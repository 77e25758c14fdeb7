//! Threads that give way: to one that serves, a processor goes at once.

/// Sets how much this thread gives way to the others, from 0, not at all, to 19.
pub(crate) fn give_way(by: i32) {
    if let Err(error) = rustix::process::nice(by) {
        tracing::debug!(%error, "a thread does not give way");
    }
}
