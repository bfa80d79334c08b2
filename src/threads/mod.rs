//! The worker pool: how many threads, and how one job runs on them.
//!
//! A run is **one** job for all its layers: entering a thread pool costs about ten microseconds,
//! passing from one phase to the next inside a job less than one. Every worker takes the chunks of its
//! own share of the current phase, then those that others have not come to; the phase ends when its
//! *chunks* are done, not when every worker has arrived, so a worker that another process holds up
//! delays nobody, and joins whatever phase is current when it comes; one that is held up in the middle of
//! a chunk changes places with one that waits for it. The calling thread is one of the
//! workers, and looks for signals now and then. Callers take turns.

mod count;
mod fork;
mod job;
mod placement;
mod turns;

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

pub use fork::{ForkGuard, hold_fork};
use job::SIGNAL_INTERVAL;
pub use job::{Phase, Work};
use placement::Placement;
use turns::Turns;

/// The workers of this process: its own threads, and whoever calls.
pub struct Pool {
    /// None for a pool of one thread, which is the caller.
    others: Option<rayon::ThreadPool>,
    threads: usize,
    turns: Turns,
    placement: Arc<Placement>,
}

impl Pool {
    fn new(threads: usize) -> Result<Self> {
        let placement = Arc::new(Placement::new(threads > 1));
        let others = rayon::ThreadPoolBuilder::new()
            .num_threads(threads - 1)
            .thread_name(|index| format!("rvision-{}", index + 1))
            .start_handler({
                let placement = Arc::clone(&placement);
                move |index| {
                    std::mem::forget(FlushDenormals::enter());
                    placement.join(index + 1);
                }
            });
        // Zero would mean as many as there are cores.
        let others = if threads > 1 { Some(others.build()) } else { None };
        let others = others.transpose().map_err(|error| crate::Error::Attribute {
            node: "threads".into(),
            attribute: "number (rvision.set_num_threads, RVISION_NUM_THREADS or OMP_NUM_THREADS)",
            expected: format!("as many as the system can start ({error})"),
            found: threads.to_string(),
        })?;
        Ok(Self { others, threads, turns: Turns::default(), placement })
    }

    /// How many workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Run `work` to its end on the workers, of which this thread is the first, when the jobs of
    /// earlier callers are done. `interrupted` is asked about every 50 ms on this thread; when it
    /// says yes, the workers stop after the chunks they are at.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], or [`crate::Error::WorkerPanic`] if a chunk panicked; the
    /// pool stays usable.
    pub fn run(
        &self,
        work: &dyn Work,
        phases: &[Phase],
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let _turn = self.turns.wait(SIGNAL_INTERVAL, interrupted)?;
        let _mode = FlushDenormals::enter();
        let _present = self.others.as_ref().map(|_| self.placement.make_way());
        job::run(self.others.as_ref(), &self.placement, work, phases, interrupted)
    }
}

type Slot = Mutex<Option<Arc<Pool>>>;

/// The one mutable global. It is a pointer so that a child process can abandon its parent's slot,
/// whose lock some thread that no longer exists may hold. The slots are never freed: there is one
/// per fork.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());

fn slot() -> &'static Slot {
    fork::install_handlers();
    let current = SLOT.load(Ordering::Acquire);
    if !current.is_null() {
        // SAFETY: slots are leaked boxes, valid for ever.
        return unsafe { &*current };
    }
    let fresh = Box::into_raw(Box::new(Slot::default()));
    match SLOT.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: the box was just leaked into the static.
        Ok(_) => unsafe { &*fresh },
        Err(other) => {
            // SAFETY: nobody else has seen `fresh`.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: slots are leaked boxes, valid for ever.
            unsafe { &*other }
        }
    }
}

/// Forget the parent's pool: its threads do not exist in this process.
fn abandon_pool() {
    SLOT.store(std::ptr::null_mut(), Ordering::Release);
}

/// The pool, started at the first call. Its size is that of [`set_num_threads`], else of
/// `RVISION_NUM_THREADS`, else of `OMP_NUM_THREADS`, else what the process may use.
///
/// # Errors
/// If the environment variable is no number, or the threads cannot be started.
pub fn pool() -> Result<Arc<Pool>> {
    let mut slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = &*slot {
        return Ok(Arc::clone(pool));
    }
    let pool = Arc::new(Pool::new(count::wanted()?)?);
    *slot = Some(Arc::clone(&pool));
    Ok(pool)
}

/// Set the number of threads of all later runs; runs under way keep theirs.
///
/// # Errors
/// If `threads` is 0 or more than there can be.
pub fn set_num_threads(threads: usize) -> Result<()> {
    let mut slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    // With the lock in hand, so that no pool of the old size is started in between.
    count::set(threads)?;
    let old = slot.take_if(|pool| pool.threads() != threads);
    drop(slot);
    // A pool that nobody uses ends here, and not under the lock.
    drop(old);
    Ok(())
}

/// The number of threads that runs use: the pool's, or that of the pool which the first run will start.
///
/// # Errors
/// If `RVISION_NUM_THREADS` is no number.
pub fn num_threads() -> Result<usize> {
    let slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    slot.as_ref().map_or_else(count::wanted, |pool| Ok(pool.threads()))
}

/// While it lives, denormal numbers count as zero on this thread: they slow arithmetic down a
/// hundredfold, and carry nothing a network's output shows. The caller's mode comes back after its run.
struct FlushDenormals {
    #[cfg(target_arch = "x86_64")]
    before: u32,
}

#[cfg(target_arch = "x86_64")]
impl FlushDenormals {
    fn enter() -> Self {
        /// Flush to zero, and denormals are zero.
        const FTZ_DAZ: u32 = 0x8040;
        let mut before = 0_u32;
        // SAFETY: stores this thread's MXCSR into the variable; SSE is part of x86-64.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut before, options(nostack)) };
        Self::set(before | FTZ_DAZ);
        Self { before }
    }

    fn set(mode: u32) {
        // SAFETY: loads MXCSR with a mode that was stored, or with two mode bits added that are
        // defined on every x86-64.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack)) };
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for FlushDenormals {
    fn drop(&mut self) {
        Self::set(self.before);
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl FlushDenormals {
    fn enter() -> Self {
        Self {}
    }
}

#[cfg(test)]
mod tests;
