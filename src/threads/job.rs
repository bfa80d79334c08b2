//! One job: phases of chunks, run by the workers that are free.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::placement::{self, Placement};
use crate::error::{Error, Result};
use crate::panics;

/// How long the caller works or waits between two checks for signals.
pub(super) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);
/// Iterations of a spin loop: some tens of microseconds, the usual time between two phases.
const SPINS: u32 = 2_000;
/// How often a worker that waits longer checks for a preempted worker and spins again: some
/// hundred microseconds in all. Endless spinning collapses as soon as another process wants a
/// core.
const LOOKS: u32 = 8;
/// How often the worker then yields before it sleeps. Yields are late and few because after a
/// yield Linux may take away the rest of the thread's time slice.
const YIELDS: u32 = 8;
const SLEEP: Duration = Duration::from_micros(50);

/// What the workers do.
pub trait Work: Sync {
    /// Compute one chunk of one phase on worker number `worker`.
    fn chunk(&self, phase: usize, chunk: usize, worker: usize);
    /// All chunks of a phase are done. Called once per phase, in the order of the phases, by the
    /// worker that finished the last chunk, before the next phase starts. A phase without chunks
    /// ends with the phase before it, or when the job begins. It must not panic.
    fn ended(&self, _phase: usize) {}
    /// The name of a phase for error messages.
    fn name(&self, phase: usize) -> String;
}

/// How many chunks of a worker's share have been taken. It has cache lines of its own.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Taken(AtomicUsize);

/// A phase's counters.
///
/// Every worker has its own share of the chunks, the same part of the whole in every phase, and
/// takes chunks from other shares only when its own is used up. Kernels number their chunks in the
/// order of the output's rows (or channels), so a worker mostly finds what it wrote in the last
/// phase in its own cache. On two cores that share a cache, this measured the same as one common
/// counter.
#[derive(Debug)]
pub struct Phase {
    chunks: usize,
    taken: Box<[Taken]>,
    done: Taken,
}

impl Phase {
    /// A phase of `chunks` chunks for `workers` workers.
    pub fn new(chunks: usize, workers: usize) -> Self {
        Self { chunks, taken: (0..workers).map(|_| Taken::default()).collect(), done: Taken::default() }
    }

    /// Make it a phase of `chunks` chunks for `workers` workers. The counters are reused if their
    /// number stays the same.
    pub fn reset(&mut self, chunks: usize, workers: usize) {
        if self.taken.len() == workers {
            self.chunks = chunks;
        } else {
            *self = Self::new(chunks, workers);
        }
    }

    /// The next chunk for a worker: from its own share, else from the share of the next worker
    /// that has any left.
    fn claim(&self, worker: usize) -> Option<usize> {
        let workers = self.taken.len();
        (0..workers).map(|k| (worker + k) % workers).find_map(|owner| {
            let (first, end) = (owner * self.chunks / workers, (owner + 1) * self.chunks / workers);
            let taken = &self.taken[owner].0;
            // Reading first keeps the cache line in the shared state once the share is used up.
            if taken.load(Ordering::Relaxed) >= end - first {
                return None;
            }
            let chunk = first + taken.fetch_add(1, Ordering::Relaxed);
            (chunk < end).then_some(chunk)
        })
    }
}

/// What other workers see of a worker. It has a cache line of its own.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Seat {
    /// The processor on which it began its chunk, plus one; 0 between chunks.
    at_work: AtomicUsize,
    /// Its CPU time in nanoseconds when another worker last made room for it.
    helped: AtomicU64,
}

/// What the workers share. The pointers are valid while the caller is in [`run`]; a worker that
/// arrives later sees `closed` and uses neither.
struct Job {
    work: *const dyn Work,
    phases: *const [Phase],
    seats: Box<[Seat]>,
    placement: Arc<Placement>,
    current: AtomicUsize,
    stop: AtomicBool,
    closed: AtomicBool,
    inside: AtomicUsize,
    panic: Mutex<Option<(usize, String)>>,
}

/// What a worker checks between two chunks and while it waits: whether to abort the job.
trait Watch {
    fn interrupted(&mut self) -> bool;
}

/// For workers other than the caller: they do not check for signals.
struct Blind;

impl Watch for Blind {
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// For the caller, which checks for signals from time to time.
struct Caller<'a> {
    ask: &'a mut dyn FnMut() -> bool,
    last: Instant,
    yes: bool,
}

impl Watch for Caller<'_> {
    fn interrupted(&mut self) -> bool {
        if self.last.elapsed() >= SIGNAL_INTERVAL {
            self.yes |= (self.ask)();
            self.last = Instant::now();
        }
        self.yes
    }
}

// SAFETY: `work` is Sync and phases are atomics; both outlive every access, see `enter`.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Another worker's part of the job.
    fn enter(&self, worker: usize) {
        self.placement.seen(worker);
        loop {
            // The order matters: the caller sets `closed` and then waits for `inside` to be zero.
            self.inside.fetch_add(1, Ordering::SeqCst);
            let idle = if self.closed.load(Ordering::SeqCst) {
                None
            } else {
                // SAFETY: the caller does not leave `run` while a worker is inside.
                let (work, phases) = unsafe { (&*self.work, &*self.phases) };
                self.take_part(work, phases, worker, &mut Blind)
            };
            self.inside.fetch_sub(1, Ordering::SeqCst);
            // Outside, so that the caller does not wait for a waiting worker.
            let Some(at) = idle else { break };
            self.rest(at, worker, &mut Blind);
        }
        self.let_the_caller_end();
        self.placement.seen(worker);
    }

    /// Work until the job is done, or until a phase has no chunks left to start and does not end
    /// soon. Returns that phase.
    fn take_part(
        &self,
        work: &dyn Work,
        phases: &[Phase],
        worker: usize,
        watch: &mut impl Watch,
    ) -> Option<usize> {
        let mut at = self.current.load(Ordering::Acquire);
        while at < phases.len() && !self.stop.load(Ordering::Relaxed) {
            let phase = &phases[at];
            while let Some(chunk) = phase.claim(worker) {
                if self.stop.load(Ordering::Relaxed) {
                    break;
                }
                if watch.interrupted() {
                    self.stop.store(true, Ordering::Relaxed);
                    break;
                }
                let seat = &self.seats[worker].at_work;
                seat.store(placement::here().map_or(0, |processor| processor + 1), Ordering::Relaxed);
                if let Err(message) = panics::caught(|| work.chunk(at, chunk, worker)) {
                    let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert((at, message));
                    self.stop.store(true, Ordering::Relaxed);
                    break;
                }
                seat.store(0, Ordering::Relaxed);
                // The worker of the last chunk starts the next phase. AcqRel makes every chunk's
                // writes visible to it, and the release of `current` to the others.
                if phase.done.0.fetch_add(1, Ordering::AcqRel) + 1 == phase.chunks {
                    work.ended(at);
                    self.current.store(end_empty(work, phases, at + 1), Ordering::Release);
                }
            }
            if !spin_until(|| self.beyond(at)) {
                return Some(at);
            }
            at = self.current.load(Ordering::Acquire);
        }
        None
    }

    /// Whether there is no reason to wait for the end of phase `at` any longer.
    fn beyond(&self, at: usize) -> bool {
        self.current.load(Ordering::Acquire) > at
            || self.stop.load(Ordering::Relaxed)
            || self.closed.load(Ordering::Relaxed)
    }

    /// Wait for the end of phase `at`: help a preempted worker, and spin, then yield, then sleep.
    fn rest(&self, at: usize, worker: usize, watch: &mut impl Watch) {
        let mut turns = 0;
        while !self.beyond(at) {
            if watch.interrupted() {
                self.stop.store(true, Ordering::Relaxed);
            } else if self
                .held_up(worker)
                .is_some_and(|(other, processor)| self.placement.change_places(worker, other, processor))
            {
                turns = 0;
            } else if turns < LOOKS {
                spin_until(|| self.beyond(at));
            } else if turns < LOOKS + YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(SLEEP);
            }
            turns += 1;
        }
    }

    /// A worker that has been preempted in the middle of a chunk: its number and its last
    /// processor. Each worker is returned only once until it has run again.
    fn held_up(&self, worker: usize) -> Option<(usize, usize)> {
        self.seats.iter().enumerate().filter(|&(other, _)| other != worker).find_map(|(other, seat)| {
            let processor = seat.at_work.load(Ordering::Relaxed).checked_sub(1)?;
            let time = self.placement.stands_at(other)?;
            (seat.helped.swap(time, Ordering::Relaxed) != time).then_some((other, processor))
        })
    }

    /// Called when the job is done and this worker is about to sleep: if the caller is waiting for
    /// a processor, it gets this one.
    fn let_the_caller_end(&self) {
        if !spin_until(|| self.closed.load(Ordering::Relaxed)) && self.placement.stands_at(0).is_some() {
            self.placement.make_room(0);
        }
    }
}

/// Spin until `so` returns true, or for about the time between two phases of a balanced layer.
/// Returns whether it became true.
fn spin_until(mut so: impl FnMut() -> bool) -> bool {
    for _ in 0..SPINS {
        if so() {
            return true;
        }
        std::hint::spin_loop();
    }
    so()
}

/// Sets `closed` and waits for the workers inside, however [`run`] is left.
struct Close<'a>(&'a Job);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        while !spin_until(|| self.0.inside.load(Ordering::SeqCst) == 0) {
            std::thread::yield_now();
        }
    }
}

/// End the phases without chunks from `at` on, and return the next phase that has any.
fn end_empty(work: &dyn Work, phases: &[Phase], mut at: usize) -> usize {
    while phases.get(at).is_some_and(|phase| phase.chunks == 0) {
        work.ended(at);
        at += 1;
    }
    at
}

/// Run a job: the calling thread is worker 0, the threads of `others` are the workers after it.
///
/// The caller works too because it is already awake. If all workers had to be woken, a job would
/// begin later, and the system may wake two of them on one core, where a short job ends before
/// they are moved apart.
pub(super) fn run(
    others: Option<&rayon::ThreadPool>,
    placement: &Arc<Placement>,
    work: &dyn Work,
    phases: &[Phase],
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    let first = end_empty(work, phases, 0);
    if first == phases.len() {
        return Ok(());
    }
    for phase in phases {
        phase.taken.iter().chain([&phase.done]).for_each(|count| count.0.store(0, Ordering::Relaxed));
    }
    let workers = 1 + others.map_or(0, rayon::ThreadPool::current_num_threads);
    #[expect(clippy::transmute_ptr_to_ptr, reason = "a cast cannot lengthen a lifetime")]
    // SAFETY: only the lifetime is erased. `Close` keeps this call from returning while a worker
    // uses the pointer, and a worker that arrives later does not use it.
    let erased: *const (dyn Work + 'static) = unsafe { std::mem::transmute(std::ptr::from_ref(work)) };
    let job = Arc::new(Job {
        work: erased,
        phases,
        seats: (0..workers).map(|_| Seat::default()).collect(),
        placement: Arc::clone(placement),
        current: AtomicUsize::new(first),
        stop: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        inside: AtomicUsize::new(0),
        panic: Mutex::new(None),
    });
    let mut caller = Caller { ask: interrupted, last: Instant::now(), yes: false };
    {
        let _close = Close(&job);
        if let Some(others) = others {
            let job = Arc::clone(&job);
            others.spawn_broadcast(move |context| job.enter(context.index() + 1));
        }
        while let Some(at) = job.take_part(work, phases, 0, &mut caller) {
            job.rest(at, 0, &mut caller);
        }
    }
    if let Some((phase, message)) = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(Error::WorkerPanic { step: work.name(phase), message });
    }
    if caller.yes { Err(Error::Interrupted) } else { Ok(()) }
}
