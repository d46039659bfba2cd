//! Threads that serve connections. A connection, and every task it starts, stays on the one it was given: a request then passes from the
//! caller's socket to the model's and back without waking another thread, which would cost more than the request itself.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle, RuntimeFlavor},
    sync::oneshot,
};

/// Where connections are served. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lanes(Arc<[Lane]>);

struct Lane {
    runtime: Handle,
    /// Connections on it.
    busy: Arc<AtomicUsize>,
}

/// The threads behind [`Lanes`]; when it is dropped they end, with whatever still runs on them.
pub(super) struct Threads {
    open: Vec<oneshot::Sender<()>>,
}

/// One connection's share of a lane, until it is dropped.
pub(super) struct Share(Arc<AtomicUsize>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// As many threads as the machine has cores, or the present one where a program has chosen to have no other. Needs a runtime.
    ///
    /// # Errors
    /// When the system has no thread or no descriptor left.
    pub(super) fn start() -> io::Result<(Self, Threads)> {
        let mut threads = Threads { open: Vec::new() };
        let here = Handle::current();
        if here.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Ok((Self([Lane::on(here)].into()), threads));
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let lanes = (0..cores).map(|number| Ok(Lane::on(threads.start(number)?)));
        let lanes = lanes.collect::<io::Result<_>>()?;
        Ok((Self(lanes), threads))
    }

    /// Where the next connection goes: the lane with the fewest.
    pub(super) fn next(&self) -> Option<(&Handle, Share)> {
        let lane = self.0.iter().min_by_key(|lane| lane.busy.load(Ordering::Relaxed))?;
        lane.busy.fetch_add(1, Ordering::Relaxed);
        Some((&lane.runtime, Share(Arc::clone(&lane.busy))))
    }
}

impl Lane {
    fn on(runtime: Handle) -> Self {
        Self { runtime, busy: Arc::default() }
    }
}

impl Threads {
    fn start(&mut self, number: usize) -> io::Result<Handle> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel();
        thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            // Nothing is ever sent: the other end's drop is the word.
            let _ = runtime.block_on(closed);
            // What still blocks in its background is not waited for.
            runtime.shutdown_background();
        })?;
        self.open.push(open);
        Ok(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_connection_stays_on_its_thread_and_the_next_goes_to_another() {
        let (lanes, _threads) = Lanes::start().unwrap();
        let threads = lanes.0.len();
        let mut shares = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..threads {
            let (runtime, share) = lanes.next().unwrap();
            shares.push(share);
            let (first, second) = runtime
                .spawn(async {
                    let first = thread::current().id();
                    tokio::task::yield_now().await;
                    (first, tokio::spawn(async { thread::current().id() }).await.unwrap())
                })
                .await
                .unwrap();
            assert_eq!(first, second);
            seen.insert(first);
        }
        assert_eq!(seen.len(), threads);
        drop(shares);
        assert!(lanes.0.iter().all(|lane| lane.busy.load(Ordering::Relaxed) == 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_runs_on_a_lane_ends_with_the_threads_whoever_still_knows_the_lane() {
        let (lanes, threads) = Lanes::start().unwrap();
        let (runtime, _share) = lanes.next().unwrap();
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let running = runtime.spawn(async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        });
        drop(threads);
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_program_of_one_thread_keeps_it() {
        let (lanes, _threads) = Lanes::start().unwrap();
        let (runtime, _share) = lanes.next().unwrap();
        let there = runtime.spawn(async { thread::current().id() }).await.unwrap();
        assert_eq!(there, thread::current().id());
    }
}
