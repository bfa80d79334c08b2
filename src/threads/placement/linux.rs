//! Linux: affinity masks and the threads' own clocks.

use std::mem::zeroed;
use std::sync::mpsc::{Sender, channel};

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

/// These processors without this one.
fn without(set: &libc::cpu_set_t, processor: usize) -> libc::cpu_set_t {
    let mut others = *set;
    // SAFETY: `processor` is below CPU_SETSIZE, see `here`; the set is one.
    unsafe { libc::CPU_CLR(processor, &mut others) };
    others
}

fn has(set: &libc::cpu_set_t, processor: usize) -> bool {
    // SAFETY: the set is one.
    processor < libc::CPU_SETSIZE as usize && unsafe { libc::CPU_ISSET(processor, set) }
}

fn same(a: &libc::cpu_set_t, b: &libc::cpu_set_t) -> bool {
    // SAFETY: both sets are.
    unsafe { libc::CPU_EQUAL(a, b) }
}

/// A thread that sleeps as long as this lives, and whose mask is nobody's but the user's: what all threads of
/// the process have been given since (`taskset -ap`, a cgroup's cpuset) shows there, whatever became of the others'.
#[derive(Debug)]
struct Keeper {
    thread: libc::pid_t,
    _alive: Sender<()>,
}

impl Keeper {
    fn new() -> Option<Self> {
        /// It has nothing to do.
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

/// A mask that was changed for a moment.
#[derive(Clone, Copy)]
struct Moved {
    thread: libc::pid_t,
    set: libc::cpu_set_t,
    /// What it was before, and the keeper's at that time.
    found: libc::cpu_set_t,
    kept: libc::cpu_set_t,
}

struct Worker {
    thread: libc::pid_t,
    /// Of its processor time.
    clock: libc::clockid_t,
    /// The caller is, during its job.
    present: bool,
    /// Where it was last seen.
    last: Option<usize>,
    /// What is to be undone when it has arrived.
    moved: Option<Moved>,
    /// What its mask was when it was last read or changed back, and the keeper's at that time.
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

/// Masks are the user's, who may set them at any time, also while one is narrowed here for a moment. The kernel
/// cannot set a mask only if it is what it was. So each change is undone as soon as it has served, only if it
/// still stands, and to what the keeper has if that was changed meanwhile; and then the keeper is looked at once
/// more. A change of all threads, in the order in which they were made as `taskset -ap` does it, reaches the
/// keeper before any worker, and therefore stays. The caller is older than the keeper: where the user's change
/// of it was undone in the microseconds between two of these calls, its next run finds that and makes it good.
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
    /// To be made before the workers, so that it is before them in the process's list of threads. Without a
    /// keeper nobody is moved.
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

    /// The job is over: nobody is the caller any more, and no mask is other than it was found.
    pub(super) fn leave(&mut self) {
        (0..self.workers.len()).for_each(|worker| self.restore(worker));
        if let Some(caller) = &mut self.workers[CALLER] {
            caller.present = false;
        }
    }

    /// A worker has begun with a job, or ended it.
    pub(super) fn seen(&mut self, worker: usize) {
        self.restore(worker);
        if let Some(worker) = self.workers.get_mut(worker).and_then(Option::as_mut) {
            worker.last = here();
        }
    }

    /// Keep the workers that were last on the calling thread's processor off it until they have woken.
    pub(super) fn make_way(&mut self) {
        let (Some(kept), Some(here)) = (self.kept(), here()) else { return };
        if self.last_kept.replace(kept).is_none_or(|last| !same(&last, &kept)) {
            self.found(CALLER, &kept);
        }
        for number in 1..self.workers.len() {
            let Some(worker) = self.worker(number) else { continue };
            // Linux wakes a thread where it was last, if it can. So in run after run nobody has to be moved, and
            // a mask costs two microseconds.
            if worker.last.is_some_and(|last| last != here) {
                continue;
            }
            let thread = worker.thread;
            let Some(found) = self.found(number, &kept) else { continue };
            let set = without(&found, here);
            // A worker with nowhere else to go stays. So does one that has ended, or whose
            // processors were taken away meanwhile: then this fails, and nothing depends on it.
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

    /// A worker's mask, where the keeper has `kept`.
    ///
    /// If it is what it was before all threads were given other processors, then that change of it was undone
    /// here, or is about to come: it is made.
    fn found(&mut self, worker: usize, kept: &libc::cpu_set_t) -> Option<libc::cpu_set_t> {
        self.restore(worker);
        let worker = self.workers.get_mut(worker)?.as_mut().filter(|worker| worker.present)?;
        let mut now = allowed(worker.thread)?;
        // One that the user has given processors of its own keeps them.
        let late = worker
            .settled
            .is_some_and(|(set, then)| same(&now, &set) && same(&set, &then) && !same(&then, kept));
        if late && allow(worker.thread, kept) {
            now = *kept;
        }
        worker.settled = Some((now, *kept));
        Some(now)
    }

    /// Undo what was done to a worker's mask.
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
        // Between the two calls a running thread's clock goes on by some hundred nanoseconds.
        worker.time().filter(|time| worker.time() == Some(*time))
    }

    pub(super) fn may_use(&self, worker: usize, processor: usize) -> bool {
        self.worker(worker)
            .and_then(|worker| allowed(worker.thread))
            .is_some_and(|allowed| has(&allowed, processor))
    }

    /// How a worker's mask is to change, to bring it to a processor that it may use.
    fn towards(&mut self, worker: usize, processor: usize) -> Option<Moved> {
        let kept = self.kept()?;
        let thread = self.worker(worker)?.thread;
        let found = self.found(worker, &kept).filter(|found| has(found, processor))?;
        Some(Moved { thread, set: only(processor), found, kept })
    }

    /// Put a worker on a processor.
    pub(super) fn put(&mut self, worker: usize, processor: usize) -> bool {
        let Some(moved) = self.towards(worker, processor) else { return false };
        let done = allow(moved.thread, &moved.set);
        self.undo(worker, &moved);
        done
    }

    /// How the calling thread, who is this worker, goes to a processor.
    pub(super) fn going(&mut self, worker: usize, processor: usize) -> Going {
        let moved = self.towards(worker, processor);
        if let Some(moved) = &moved {
            self.set_moved(worker, moved);
        }
        Going { moved }
    }

    /// The calling thread, who is this worker, is there.
    pub(super) fn gone(&mut self, worker: usize, going: &Going) {
        // Whoever came first has undone it; but not if it was not done yet.
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
