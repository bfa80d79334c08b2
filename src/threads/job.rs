//! One job: phases of chunks, run by whichever workers are free.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long the caller works or waits between two looks for signals.
pub(super) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);
/// Turns of the waiting loop that only spin: about the time between two phases of a balanced
/// layer. Spinning on collapses as soon as another process wants a core.
const SPINS: u32 = 2_000;
/// Turns after that which give the processor to somebody else, before the worker sleeps.
const YIELDS: u32 = 200;
const SLEEP: Duration = Duration::from_micros(50);

/// What the workers do.
pub trait Work: Sync {
    /// Compute one chunk of one phase on worker number `worker`.
    fn chunk(&self, phase: usize, chunk: usize, worker: usize);
    /// All chunks of a phase are done: called once, in the order of the phases, by the worker that did
    /// the last one, before the next phase opens. It must not panic.
    fn ended(&self, _phase: usize) {}
    /// What a phase is called in an error.
    fn name(&self, phase: usize) -> String;
}

/// How many of a worker's own chunks have been taken, on cache lines of its own.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Taken(AtomicUsize);

/// A phase's counters.
///
/// Every worker has a share of the chunks of its own, the same part of the whole in every phase, and
/// takes from the others' only when that is done. Kernels number their chunks in the order of the
/// output's rows (or channels), so a worker mostly finds what it wrote in the last phase in its own
/// cache. On two cores that share a cache this measured the same as one common counter.
#[derive(Debug)]
pub struct Phase {
    chunks: usize,
    taken: Box<[Taken]>,
    done: Taken,
}

impl Phase {
    /// A phase of so many chunks for so many workers.
    pub fn new(chunks: usize, workers: usize) -> Self {
        Self { chunks, taken: (0..workers).map(|_| Taken::default()).collect(), done: Taken::default() }
    }

    /// The next chunk for a worker: of its own share, else of the next worker's that has any left.
    fn claim(&self, worker: usize) -> Option<usize> {
        let workers = self.taken.len();
        (0..workers).map(|k| (worker + k) % workers).find_map(|owner| {
            let (first, end) = (owner * self.chunks / workers, (owner + 1) * self.chunks / workers);
            let taken = &self.taken[owner].0;
            // Looking first keeps the line shared once the share is used up.
            if taken.load(Ordering::Relaxed) >= end - first {
                return None;
            }
            let chunk = first + taken.fetch_add(1, Ordering::Relaxed);
            (chunk < end).then_some(chunk)
        })
    }
}

/// What the workers share. The pointers are valid while the caller is in [`run`]; a worker that
/// comes later finds `closed` and touches neither.
struct Job {
    work: *const dyn Work,
    phases: *const [Phase],
    current: AtomicUsize,
    stop: AtomicBool,
    closed: AtomicBool,
    inside: AtomicUsize,
    panic: Mutex<Option<(usize, String)>>,
}

/// What a worker asks between two chunks and while it waits: whether to give the job up.
trait Watch {
    fn interrupted(&mut self) -> bool;
}

/// Every worker but the caller: signals are no business of theirs.
struct Blind;

impl Watch for Blind {
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// The caller, who looks for signals now and then.
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
        // The order matters: the caller sets `closed` and then waits for `inside` to be zero.
        self.inside.fetch_add(1, Ordering::SeqCst);
        if !self.closed.load(Ordering::SeqCst) {
            // SAFETY: the caller does not leave `run` while a worker is inside.
            let (work, phases) = unsafe { (&*self.work, &*self.phases) };
            self.take_part(work, phases, worker, &mut Blind);
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn take_part(&self, work: &dyn Work, phases: &[Phase], worker: usize, watch: &mut impl Watch) {
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
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work.chunk(at, chunk, worker))) {
                    let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert_with(|| (at, panic_message(panic.as_ref())));
                    self.stop.store(true, Ordering::Relaxed);
                    break;
                }
                // The last chunk's worker opens the next phase; AcqRel carries every chunk's
                // writes to it, and the release of `current` carries them on.
                if phase.done.0.fetch_add(1, Ordering::AcqRel) + 1 == phase.chunks {
                    work.ended(at);
                    self.current.store(at + 1, Ordering::Release);
                }
            }
            at = self.wait_beyond(at, watch);
        }
    }

    /// Wait until a later phase than `at` is current: spin, then yield, then sleep.
    fn wait_beyond(&self, at: usize, watch: &mut impl Watch) -> usize {
        let mut turns = 0;
        loop {
            let current = self.current.load(Ordering::Acquire);
            if current > at || self.stop.load(Ordering::Relaxed) {
                return current;
            }
            turns += 1;
            if turns < SPINS {
                std::hint::spin_loop();
            } else if turns < SPINS + YIELDS {
                std::thread::yield_now();
            } else if watch.interrupted() {
                self.stop.store(true, Ordering::Relaxed);
            } else {
                std::thread::sleep(SLEEP);
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// Sets `closed` and waits for the workers inside, on every way out of [`run`].
struct Close<'a>(&'a Job);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        let mut turns = 0_u32;
        while self.0.inside.load(Ordering::SeqCst) != 0 {
            turns += 1;
            if turns < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Run a job: the calling thread is worker 0, the threads of `others` are those behind it.
///
/// The caller works too because it is awake: a job on workers that all have to be woken begins
/// later, and the system may wake two of them on one core, where a short job ends before they are
/// moved apart.
pub(super) fn run(
    others: Option<&rayon::ThreadPool>,
    work: &dyn Work,
    phases: &[Phase],
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    if phases.is_empty() {
        return Ok(());
    }
    for phase in phases {
        phase.taken.iter().chain([&phase.done]).for_each(|count| count.0.store(0, Ordering::Relaxed));
    }
    #[expect(clippy::transmute_ptr_to_ptr, reason = "a cast cannot lengthen a lifetime")]
    // SAFETY: only the lifetime is erased: `Close` keeps this call from returning while a worker
    // uses the pointer, and a worker that comes after it does not use it.
    let erased: *const (dyn Work + 'static) = unsafe { std::mem::transmute(std::ptr::from_ref(work)) };
    let job = Arc::new(Job {
        work: erased,
        phases,
        current: AtomicUsize::new(0),
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
        job.take_part(work, phases, 0, &mut caller);
    }
    if let Some((phase, message)) = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(Error::WorkerPanic { step: work.name(phase), message });
    }
    if caller.yes { Err(Error::Interrupted) } else { Ok(()) }
}
