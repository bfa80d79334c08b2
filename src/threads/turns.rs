//! Callers take turns: one job at a time has all workers.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use crate::error::{Error, Result};

/// The callers in the order in which they arrived; the job of the first one runs.
///
/// Concurrent jobs would only compete for the cores and the caches.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: Mutex<VecDeque<ThreadId>>,
    next: Condvar,
}

/// A caller's place in the queue. Dropping it lets the next caller run.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// A signal handler may run a network while the job of its own thread waits for it to return.
    /// That call already has its thread's turn.
    nested: bool,
}

impl Turns {
    /// Wait for this thread's turn. `interrupted` is called every `interval`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(super) fn wait(&self, interval: Duration, interrupted: &mut dyn FnMut() -> bool) -> Result<Turn<'_>> {
        let me = std::thread::current().id();
        let mut queue = self.lock();
        if queue.front() == Some(&me) {
            return Ok(Turn { turns: self, nested: true });
        }
        queue.push_back(me);
        let turn = Turn { turns: self, nested: false };
        while queue.front() != Some(&me) {
            let (guard, timeout) =
                self.next.wait_timeout(queue, interval).unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            if timeout.timed_out() && queue.front() != Some(&me) {
                // Without the lock: a signal handler may call this function again.
                drop(queue);
                if interrupted() {
                    return Err(Error::Interrupted);
                }
                queue = self.lock();
            }
        }
        drop(queue);
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ThreadId>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.nested {
            return;
        }
        let me = std::thread::current().id();
        let mut queue = self.turns.lock();
        if let Some(place) = queue.iter().position(|&thread| thread == me) {
            queue.remove(place);
        }
        drop(queue);
        self.turns.next.notify_all();
    }
}
