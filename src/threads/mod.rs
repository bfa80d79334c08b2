//! The worker pool: how many threads, and how one job runs on them.
//!
//! A run is **one** job for all its layers: entering a thread pool costs about ten microseconds,
//! going from one phase to the next inside a job less than one. Every worker takes the chunks of
//! its own share of the current phase, then chunks that other workers have not started. The phase
//! ends when its *chunks* are done, not when every worker has arrived, so a preempted worker does
//! not stall the others. It joins the current phase when it runs again. If a worker is preempted
//! in the middle of a chunk, a waiting worker changes places with it. The calling thread is one
//! of the workers, and checks for signals from time to time. Callers take turns.

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

/// The workers of this process: the pool's own threads, and the calling thread.
pub struct Pool {
    /// None for a pool of one thread, which is the caller's.
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
        // To rayon, zero means one thread per core.
        let others = if threads > 1 { Some(others.build()) } else { None };
        let others = others.transpose().map_err(|error| crate::Error::Attribute {
            node: "threads".into(),
            attribute: "number (rvision.set_num_threads, RVISION_NUM_THREADS or OMP_NUM_THREADS)",
            expected: format!("as many as the system can start ({error})"),
            found: threads.to_string(),
        })?;
        Ok(Self { others, threads, turns: Turns::default(), placement })
    }

    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Run `work` to its end on the workers, of which this thread is the first, after the jobs of
    /// earlier callers. `interrupted` is called about every 50 ms on this thread; if it returns
    /// true, the workers stop after their current chunks.
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
/// whose lock may be held by a thread that does not exist in the child. Slots are never freed:
/// there is one per fork.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());

fn slot() -> &'static Slot {
    fork::on_fork_in_child(abandon_pool);
    let current = SLOT.load(Ordering::Acquire);
    if !current.is_null() {
        // SAFETY: slots are leaked boxes and stay valid.
        return unsafe { &*current };
    }
    let fresh = Box::into_raw(Box::new(Slot::default()));
    match SLOT.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: the box was just leaked into the static.
        Ok(_) => unsafe { &*fresh },
        Err(other) => {
            // SAFETY: `fresh` was not published.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: slots are leaked boxes and stay valid.
            unsafe { &*other }
        }
    }
}

/// Forget the parent's pool: its threads do not exist in this process.
fn abandon_pool() {
    SLOT.store(std::ptr::null_mut(), Ordering::Release);
}

/// The pool, started at the first call. Its size is set by [`set_num_threads`], else by
/// `RVISION_NUM_THREADS`, else by `OMP_NUM_THREADS`, else by what the process may use.
///
/// # Errors
/// If the environment variable is not a number, or the threads cannot be started.
pub fn pool() -> Result<Arc<Pool>> {
    let mut slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = &*slot {
        return Ok(Arc::clone(pool));
    }
    let pool = Arc::new(Pool::new(count::wanted()?)?);
    *slot = Some(Arc::clone(&pool));
    Ok(pool)
}

/// Set the number of threads of all later runs; current runs keep theirs.
///
/// # Errors
/// If `threads` is 0 or above the limit.
pub fn set_num_threads(threads: usize) -> Result<()> {
    let mut slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    // While the lock is held, so that no pool of the old size is started in between.
    count::set(threads)?;
    let old = slot.take_if(|pool| pool.threads() != threads);
    drop(slot);
    // If nobody uses the old pool, it ends here, after the lock has been released.
    drop(old);
    Ok(())
}

/// The number of threads that runs use: the pool's, or that of the pool that the first run will
/// start.
///
/// # Errors
/// If `RVISION_NUM_THREADS` is not a number.
pub fn num_threads() -> Result<usize> {
    let slot = slot().lock().unwrap_or_else(PoisonError::into_inner);
    slot.as_ref().map_or_else(count::wanted, |pool| Ok(pool.threads()))
}

/// While it lives, denormal numbers are treated as zero on this thread. They slow arithmetic down
/// a hundredfold and do not affect a network's output. The caller's mode is restored after its
/// run.
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
        // SAFETY: loads MXCSR with a mode that was stored before, or with two additional mode
        // bits that are defined on every x86-64.
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
