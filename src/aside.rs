//! Threads for work that takes milliseconds, beside those that serve everyone.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::priority::give_way;

/// How much these threads give way, also to the one that writes.
const NICE: i32 = 10;

/// As many threads as there are processors: more would only take from the writer, and from each other.
#[derive(Debug)]
pub struct Aside(Option<Runtime>);

impl Aside {
    /// Starts them.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start() -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("aside")
            .on_thread_start(|| give_way(NICE))
            .build()
            .map(|runtime| Self(Some(runtime)))
    }

    /// Does some work on one of them; none where it panicked.
    pub async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
        self.0.as_ref()?.spawn(async move { work() }).await.ok()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Nobody waits for what is still being done.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
