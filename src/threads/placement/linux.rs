//! Linux: affinity masks and the threads' own clocks.

use std::mem::zeroed;

use super::CALLER;

const SIZE: usize = size_of::<libc::cpu_set_t>();

pub(super) fn here() -> Option<usize> {
    // SAFETY: asks for this thread's processor only.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok().filter(|&here| here < libc::CPU_SETSIZE as usize)
}

/// The processors that a thread may use; 0 is the calling one.
pub(super) fn allowed(thread: libc::pid_t) -> Option<libc::cpu_set_t> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the kernel writes at most the given size into the set.
    (unsafe { libc::sched_getaffinity(thread, SIZE, &raw mut set) } == 0).then_some(set)
}

/// Whether the thread may use these processors only, from now on. One that is not running is moved
/// by this, the calling one too.
pub(super) fn allow(thread: libc::pid_t, set: &libc::cpu_set_t) -> bool {
    // SAFETY: the set outlives the call.
    unsafe { libc::sched_setaffinity(thread, SIZE, set) == 0 }
}

pub(super) fn only(processor: usize) -> libc::cpu_set_t {
    // SAFETY: an all-zero cpu_set_t is the empty set, and all processors that are asked for are
    // below CPU_SETSIZE, see `here`.
    unsafe {
        let mut set = zeroed();
        libc::CPU_SET(processor, &mut set);
        set
    }
}

struct Worker {
    thread: libc::pid_t,
    /// Of its processor time.
    clock: libc::clockid_t,
    /// The processors it may use by the user's will.
    allowed: libc::cpu_set_t,
}

impl Worker {
    fn time(&self) -> Option<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is written, nothing else.
        let found = unsafe { libc::clock_gettime(self.clock, &raw mut time) } == 0;
        found.then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    fn may_use(&self, processor: usize) -> bool {
        // SAFETY: the set is one, and the processor below CPU_SETSIZE.
        unsafe { libc::CPU_ISSET(processor, &self.allowed) }
    }
}

#[derive(Default)]
pub(super) struct State {
    workers: Vec<Option<Worker>>,
    /// The processor that all but the caller are kept off.
    avoided: Option<usize>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("workers", &self.workers.len()).field("avoided", &self.avoided).finish()
    }
}

impl State {
    fn worker(&self, worker: usize) -> Option<&Worker> {
        self.workers.get(worker)?.as_ref()
    }

    pub(super) fn join(&mut self, worker: usize) {
        let mut clock = 0;
        // SAFETY: asks about this thread only.
        let (thread, clocked) =
            unsafe { (libc::gettid(), libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock)) };
        if self.workers.len() <= worker {
            self.workers.resize_with(worker + 1, || None);
        }
        self.workers[worker] =
            allowed(0).filter(|_| clocked == 0).map(|set| Worker { thread, clock, allowed: set });
        if worker != CALLER {
            self.avoided = None;
        }
    }

    /// Nobody is this worker any more.
    pub(super) fn leave(&mut self, worker: usize) {
        self.workers[worker] = None;
    }

    pub(super) fn make_way(&mut self) {
        let Some(here) = here().filter(|&here| self.avoided != Some(here)) else { return };
        for worker in self.workers.iter().skip(1).flatten() {
            let mut others = worker.allowed;
            // SAFETY: `here` is below CPU_SETSIZE; the set is one.
            let left = unsafe {
                libc::CPU_CLR(here, &mut others);
                libc::CPU_COUNT(&others)
            };
            // A worker with nowhere else to go stays. So does one that has ended, or whose
            // processors were taken away meanwhile: then this fails, and nothing depends on it.
            allow(worker.thread, if left > 0 { &others } else { &worker.allowed });
        }
        self.avoided = Some(here);
    }

    pub(super) fn stands_at(&self, worker: usize) -> Option<u64> {
        let worker = self.worker(worker)?;
        // Between the two calls a running thread's clock goes on by some hundred nanoseconds.
        worker.time().filter(|time| worker.time() == Some(*time))
    }

    pub(super) fn may_use(&self, worker: usize, processor: usize) -> bool {
        self.worker(worker).is_some_and(|worker| worker.may_use(processor))
    }

    /// Put a worker on a processor: the caller for the moment, another one until the next job.
    pub(super) fn put(&mut self, worker: usize, processor: usize) -> bool {
        let Some(put) = self.worker(worker).filter(|put| put.may_use(processor)) else { return false };
        let done = allow(put.thread, &only(processor));
        if worker == CALLER {
            allow(put.thread, &put.allowed);
        }
        self.avoided = None;
        done
    }

    /// How the calling thread, who is this worker, goes to a processor.
    pub(super) fn going(&mut self, worker: usize, processor: usize) -> Going {
        self.avoided = None;
        let after = self.worker(worker).filter(|_| worker == CALLER).map(|caller| caller.allowed);
        Going { to: only(processor), after }
    }
}

pub(super) struct Going {
    to: libc::cpu_set_t,
    after: Option<libc::cpu_set_t>,
}

impl Going {
    pub(super) fn go(&self) {
        allow(0, &self.to);
        self.after.inspect(|after| _ = allow(0, after));
    }
}
