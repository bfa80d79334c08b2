//! The worker pool: how many threads, and how one job runs on them.
//!
//! A run is **one** job for all its layers: entering a thread pool costs about ten microseconds,
//! passing from one phase to the next inside a job less than one. Every worker takes the chunks of its
//! own share of the current phase, then those that others have not come to; the phase ends when its
//! *chunks* are done, not when every worker has arrived, so a worker that another process holds up
//! delays nobody, and joins whatever phase is current when it comes. The caller sleeps, and looks for signals.

mod count;
mod fork;
mod job;

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

pub use fork::{ForkGuard, hold_fork};
pub use job::{Phase, Work};

/// The workers of this process.
pub struct Pool {
    rayon: rayon::ThreadPool,
    threads: usize,
}

impl Pool {
    fn new(threads: usize) -> Result<Self> {
        let rayon = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("rvision-{index}"))
            .start_handler(|_| flush_denormals())
            .build()
            .map_err(|error| crate::Error::Environment {
                variable: count::VARIABLE,
                value: threads.to_string(),
                expected: format!("a number of threads that the system can start ({error})"),
            })?;
        Ok(Self { rayon, threads })
    }

    /// How many workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Run `work` to its end on the workers. `interrupted` is asked about every 50 ms on this
    /// thread; when it says yes, the workers stop after the chunks they are at.
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
        job::run(&self.rayon, work, phases, interrupted)
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
/// `RVISION_NUM_THREADS`, else what the process may use.
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
/// If the threads cannot be started, or `threads` is 0.
pub fn set_num_threads(threads: usize) -> Result<()> {
    count::set(threads)?;
    let mut slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_some_and(|pool| pool.threads() != threads) {
        *slot = None;
    }
    Ok(())
}

/// The number of threads that runs use.
///
/// # Errors
/// If `RVISION_NUM_THREADS` is no number.
pub fn num_threads() -> Result<usize> {
    count::wanted()
}

/// Denormal numbers count as zero on this thread from now on: they slow arithmetic down a
/// hundredfold, and carry nothing a network's output shows. Workers live only for rvision, so no
/// caller's mode is touched.
fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        /// Flush to zero, and denormals are zero.
        const FTZ_DAZ: u32 = 0x8040;
        let mut mode = 0_u32;
        // SAFETY: stores this thread's MXCSR into the variable; SSE is part of x86-64.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack)) };
        mode |= FTZ_DAZ;
        // SAFETY: loads MXCSR with two mode bits added, both defined on every x86-64.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack)) };
    }
}

#[cfg(test)]
mod tests;
