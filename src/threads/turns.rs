//! Callers take turns: one job has all workers at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use crate::error::{Error, Result};

/// The callers in the order they came; the first one's job runs.
///
/// Jobs side by side would only take the cores and the caches from each other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: Mutex<VecDeque<ThreadId>>,
    next: Condvar,
}

/// A caller's place in the queue; leaving it lets the next one in.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// A handler of signals may run a network while its thread's own job waits for it to return:
    /// that call has its thread's turn already.
    nested: bool,
}

impl Turns {
    /// Wait for this thread's turn. `interrupted` is asked every `interval`.
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
                // Not under the lock: a handler of signals may come here again.
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
