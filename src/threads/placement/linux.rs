//! Linux: affinity masks and per-thread CPU clocks.

use std::mem::zeroed;
use std::sync::mpsc::{Sender, channel};

use crate::threads::count::CALLER;

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

/// Restrict a thread to these processors, and return whether this succeeded. A thread that is not
/// running is moved by this, and so is the calling one.
pub(super) fn allow(thread: libc::pid_t, set: &libc::cpu_set_t) -> bool {
    // SAFETY: the set outlives the call.
    unsafe { libc::sched_setaffinity(thread, SIZE, set) == 0 }
}

pub(super) fn only(processor: usize) -> libc::cpu_set_t {
    // SAFETY: an all-zero cpu_set_t is the empty set, and all processors passed in are below
    // CPU_SETSIZE, see `here`.
    unsafe {
        let mut set = zeroed();
        libc::CPU_SET(processor, &mut set);
        set
    }
}

/// These processors without this one.
fn without(set: &libc::cpu_set_t, processor: usize) -> libc::cpu_set_t {
    let mut others = *set;
    // SAFETY: `processor` is below CPU_SETSIZE, see `here`; the set is initialised.
    unsafe { libc::CPU_CLR(processor, &mut others) };
    others
}

fn has(set: &libc::cpu_set_t, processor: usize) -> bool {
    // SAFETY: the set is initialised.
    processor < libc::CPU_SETSIZE as usize && unsafe { libc::CPU_ISSET(processor, set) }
}

fn same(a: &libc::cpu_set_t, b: &libc::cpu_set_t) -> bool {
    // SAFETY: both sets are initialised.
    unsafe { libc::CPU_EQUAL(a, b) }
}

/// A thread that sleeps as long as this lives, and whose mask is never changed here. If the user
/// gives all threads of the process a new mask (`taskset -ap`, a cgroup's cpuset), the keeper has
/// it, whatever happened to the masks of the others.
#[derive(Debug)]
struct Keeper {
    thread: libc::pid_t,
    _alive: Sender<()>,
}

impl Keeper {
    fn new() -> Option<Self> {
        /// The thread does nothing, so a small stack is enough.
        const STACK: usize = 64 << 10;
        let (alive, over) = channel::<()>();
        let (tell, told) = channel();
        let thread = std::thread::Builder::new().name("rvision-0".into()).stack_size(STACK);
        let keep = move || {
            // SAFETY: asks about this thread only.
            let _ = tell.send(unsafe { libc::gettid() });
            // Nothing is ever sent: this ends when the sender does.
            let _ = over.recv();
        };
        thread.spawn(keep).ok()?;
        Some(Self { thread: told.recv().ok()?, _alive: alive })
    }
}

/// A mask that has been changed temporarily.
#[derive(Clone, Copy)]
struct Moved {
    thread: libc::pid_t,
    set: libc::cpu_set_t,
    /// The mask before, and the keeper's mask at that time.
    found: libc::cpu_set_t,
    kept: libc::cpu_set_t,
}

struct Worker {
    thread: libc::pid_t,
    /// The clock of its CPU time.
    clock: libc::clockid_t,
    /// False for the caller when it runs no job.
    present: bool,
    /// The processor on which it was last seen.
    last: Option<usize>,
    /// The change to undo when it has arrived.
    moved: Option<Moved>,
    /// Its mask when it was last read or restored, and the keeper's mask at that time.
    settled: Option<(libc::cpu_set_t, libc::cpu_set_t)>,
}

impl Worker {
    fn time(&self) -> Option<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is written, nothing else.
        let found = unsafe { libc::clock_gettime(self.clock, &raw mut time) } == 0;
        found.then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}

/// Masks belong to the user, who may set them at any time, also while one is narrowed here
/// temporarily. The kernel has no compare-and-set for masks. Therefore each change is undone as
/// soon as it has had its effect, and only if the mask is still the narrowed one. If the keeper's
/// mask has changed in the meantime, the thread gets the keeper's mask. The keeper is then checked
/// once more. `taskset -ap` changes all threads in the order of their creation, so its change
/// reaches the keeper before any worker, and is therefore kept. The caller is older than the
/// keeper. If the user's change of the caller's mask was undone in the microseconds between two of
/// these calls, its next run detects this and applies the change.
#[derive(Default)]
pub(super) struct State {
    workers: Vec<Option<Worker>>,
    keeper: Option<Keeper>,
    /// The keeper's mask at the start of the last job.
    last_kept: Option<libc::cpu_set_t>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut state = f.debug_struct("State");
        state.field("workers", &self.workers.len()).field("keeper", &self.keeper).finish_non_exhaustive()
    }
}

impl State {
    /// Must be created before the workers, so that the keeper is before them in the process's list
    /// of threads. Without a keeper no thread is moved.
    pub(super) fn with_keeper() -> Self {
        Self { keeper: Keeper::new(), ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn last_seen_here(&mut self, worker: usize) {
        self.workers[worker].as_mut().unwrap().last = here();
    }

    #[cfg(test)]
    pub(super) fn keeper(&self) -> libc::pid_t {
        self.keeper.as_ref().unwrap().thread
    }

    fn worker(&self, worker: usize) -> Option<&Worker> {
        self.workers.get(worker)?.as_ref().filter(|worker| worker.present)
    }

    fn kept(&self) -> Option<libc::cpu_set_t> {
        allowed(self.keeper.as_ref()?.thread)
    }

    /// The calling thread is this worker from now on.
    pub(super) fn join(&mut self, worker: usize) {
        let mut clock = 0;
        // SAFETY: asks about this thread only.
        let (thread, clocked) =
            unsafe { (libc::gettid(), libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock)) };
        if self.workers.len() <= worker {
            self.workers.resize_with(worker + 1, || None);
        }
        let before = self.workers[worker].take().filter(|before| before.thread == thread);
        let settled = before.and_then(|before| before.settled).or_else(|| allowed(0).zip(self.kept()));
        self.workers[worker] = (clocked == 0).then_some(Worker {
            thread,
            clock,
            present: true,
            last: here(),
            moved: None,
            settled,
        });
    }

    /// The job is over: no thread is the caller any more, and all masks are restored.
    pub(super) fn leave(&mut self) {
        (0..self.workers.len()).for_each(|worker| self.restore(worker));
        if let Some(caller) = &mut self.workers[CALLER] {
            caller.present = false;
        }
    }

    /// A worker has started or ended a job.
    pub(super) fn seen(&mut self, worker: usize) {
        self.restore(worker);
        if let Some(worker) = self.workers.get_mut(worker).and_then(Option::as_mut) {
            worker.last = here();
        }
    }

    /// Keep the workers that last ran on the calling thread's processor off it until they have
    /// woken up.
    pub(super) fn make_way(&mut self) {
        let (Some(kept), Some(here)) = (self.kept(), here()) else { return };
        if self.last_kept.replace(kept).is_none_or(|last| !same(&last, &kept)) {
            self.found(CALLER, &kept);
        }
        for number in 1..self.workers.len() {
            let Some(worker) = self.worker(number) else { continue };
            // Linux wakes a thread on its last processor if it can. So in most runs no thread has
            // to be moved, and setting a mask costs two microseconds.
            if worker.last.is_some_and(|last| last != here) {
                continue;
            }
            let thread = worker.thread;
            let Some(found) = self.found(number, &kept) else { continue };
            let set = without(&found, here);
            // A worker that has no other processor stays. If it has ended, or its processors were
            // taken away in the meantime, `allow` fails, and nothing depends on that.
            if has(&found, here) && allow(thread, &set) {
                self.set_moved(number, &Moved { thread, set, found, kept });
            }
        }
    }

    fn set_moved(&mut self, worker: usize, moved: &Moved) {
        if let Some(worker) = self.workers.get_mut(worker).and_then(Option::as_mut) {
            worker.moved = Some(*moved);
        }
    }

    /// A worker's mask, when the keeper's mask is `kept`.
    ///
    /// If the worker still has its mask from before all threads were given other processors, then
    /// that change was undone here or is about to be made: it is made now.
    fn found(&mut self, worker: usize, kept: &libc::cpu_set_t) -> Option<libc::cpu_set_t> {
        self.restore(worker);
        let worker = self.workers.get_mut(worker)?.as_mut().filter(|worker| worker.present)?;
        let mut now = allowed(worker.thread)?;
        // A worker that the user has given a mask of its own keeps it.
        let late = worker
            .settled
            .is_some_and(|(set, then)| same(&now, &set) && same(&set, &then) && !same(&then, kept));
        if late && allow(worker.thread, kept) {
            now = *kept;
        }
        worker.settled = Some((now, *kept));
        Some(now)
    }

    /// Undo the change to a worker's mask.
    fn restore(&mut self, worker: usize) {
        let moved = self.workers.get_mut(worker).and_then(Option::as_mut).and_then(|w| w.moved.take());
        if let Some(moved) = moved {
            self.undo(worker, &moved);
        }
    }

    fn undo(&mut self, worker: usize, moved: &Moved) {
        let mut moved = *moved;
        while allowed(moved.thread).is_some_and(|now| same(&now, &moved.set)) {
            let kept = self.kept().unwrap_or(moved.kept);
            let to = if same(&kept, &moved.kept) { moved.found } else { kept };
            allow(moved.thread, &to);
            if let Some(worker) = self.workers.get_mut(worker).and_then(Option::as_mut) {
                worker.settled = Some((to, kept));
            }
            if self.kept().is_none_or(|now| same(&now, &kept)) {
                return;
            }
            moved = Moved { set: to, found: to, kept, ..moved };
        }
    }

    pub(super) fn stands_at(&self, worker: usize) -> Option<u64> {
        let worker = self.worker(worker)?;
        // Between the two calls, the clock of a running thread advances by some hundred
        // nanoseconds.
        worker.time().filter(|time| worker.time() == Some(*time))
    }

    pub(super) fn may_use(&self, worker: usize, processor: usize) -> bool {
        self.worker(worker)
            .and_then(|worker| allowed(worker.thread))
            .is_some_and(|allowed| has(&allowed, processor))
    }

    /// The change of a worker's mask that moves it to a processor that it may use.
    fn towards(&mut self, worker: usize, processor: usize) -> Option<Moved> {
        let kept = self.kept()?;
        let thread = self.worker(worker)?.thread;
        let found = self.found(worker, &kept).filter(|found| has(found, processor))?;
        Some(Moved { thread, set: only(processor), found, kept })
    }

    /// Move a worker to a processor.
    pub(super) fn put(&mut self, worker: usize, processor: usize) -> bool {
        let Some(moved) = self.towards(worker, processor) else { return false };
        let done = allow(moved.thread, &moved.set);
        self.undo(worker, &moved);
        done
    }

    /// The move of the calling thread, which is this worker, to a processor.
    pub(super) fn going(&mut self, worker: usize, processor: usize) -> Going {
        let moved = self.towards(worker, processor);
        if let Some(moved) = &moved {
            self.set_moved(worker, moved);
        }
        Going { moved }
    }

    /// The calling thread, which is this worker, has arrived.
    pub(super) fn gone(&mut self, worker: usize, going: &Going) {
        // Another thread may have undone the change before it was made; then it is undone here.
        self.restore(worker);
        if let Some(moved) = &going.moved {
            self.undo(worker, moved);
        }
    }
}

pub(super) struct Going {
    moved: Option<Moved>,
}

impl Going {
    pub(super) fn go(&self) {
        self.moved.inspect(|moved| _ = allow(0, &moved.set));
    }
}
