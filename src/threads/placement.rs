//! Workers and the caller on different processors.
//!
//! A worker that the caller wakes may be put on the caller's own processor although another one is
//! idle: Linux looks for idle ones only while its estimate of the load says that it pays, and
//! with two or a few processors that rounds down to never. The worker then waits until the next
//! balancing, four to eight milliseconds later, when a small network has long been computed by one
//! thread. So the workers are kept off the processor that the caller is on.

use std::sync::Mutex;

/// Which processors the workers may use.
#[derive(Debug, Default)]
pub(super) struct Placement {
    #[cfg(target_os = "linux")]
    state: Mutex<linux::State>,
    #[cfg(not(target_os = "linux"))]
    state: Mutex<()>,
}

impl Placement {
    /// The calling thread is one of the workers.
    pub(super) fn join(&self) {
        #[cfg(target_os = "linux")]
        self.lock().join();
    }

    /// Keep the workers off the processor that the calling thread is on.
    pub(super) fn make_way(&self) {
        #[cfg(target_os = "linux")]
        self.lock().make_way();
    }

    #[cfg(target_os = "linux")]
    fn lock(&self) -> std::sync::MutexGuard<'_, linux::State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::zeroed;

    const SIZE: usize = size_of::<libc::cpu_set_t>();

    #[derive(Default)]
    pub(super) struct State {
        /// The workers and the processors that each may use by the user's will.
        workers: Vec<(libc::pid_t, libc::cpu_set_t)>,
        /// The processor that they are kept off.
        avoided: Option<usize>,
    }

    impl std::fmt::Debug for State {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("State")
                .field("workers", &self.workers.len())
                .field("avoided", &self.avoided)
                .finish()
        }
    }

    impl State {
        pub(super) fn join(&mut self) {
            // SAFETY: an all-zero cpu_set_t is the empty set.
            let mut allowed: libc::cpu_set_t = unsafe { zeroed() };
            // SAFETY: the kernel writes at most the given size into the set.
            let found = unsafe { libc::sched_getaffinity(0, SIZE, &raw mut allowed) } == 0;
            if found {
                // SAFETY: asks for this thread's number only.
                self.workers.push((unsafe { libc::gettid() }, allowed));
                self.avoided = None;
            }
        }

        pub(super) fn make_way(&mut self) {
            // SAFETY: asks for this thread's processor only.
            let Ok(here) = usize::try_from(unsafe { libc::sched_getcpu() }) else { return };
            if self.avoided == Some(here) || here >= libc::CPU_SETSIZE as usize {
                return;
            }
            for &(worker, allowed) in &self.workers {
                let mut others = allowed;
                // SAFETY: `here` is below CPU_SETSIZE; the set is one.
                let left = unsafe {
                    libc::CPU_CLR(here, &mut others);
                    libc::CPU_COUNT(&others)
                };
                // A worker with nowhere else to go stays. So does one that has ended, or whose
                // processors were taken away meanwhile: then this fails, and nothing depends on it.
                let set = if left > 0 { &raw const others } else { &raw const allowed };
                // SAFETY: the set outlives the call.
                unsafe { libc::sched_setaffinity(worker, SIZE, set) };
            }
            self.avoided = Some(here);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::Placement;

    #[test]
    fn a_worker_leaves_the_callers_processor() {
        let placement = Placement::default();
        let [joined, moved] = [Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2))];
        std::thread::scope(|scope| {
            let worker = scope.spawn({
                let (placement, joined, moved) = (&placement, Arc::clone(&joined), Arc::clone(&moved));
                move || {
                    placement.join();
                    joined.wait();
                    moved.wait();
                    // SAFETY: an all-zero cpu_set_t is the empty set, filled by the kernel.
                    unsafe {
                        let mut set: libc::cpu_set_t = std::mem::zeroed();
                        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
                        set
                    }
                }
            });
            joined.wait();
            // SAFETY: the calls fill a set, or ask for a number.
            let (before, here) = unsafe {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
                // Stay where the workers make way.
                let here = libc::sched_getcpu() as usize;
                let mut only: libc::cpu_set_t = std::mem::zeroed();
                libc::CPU_SET(here, &mut only);
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const only);
                (set, here)
            };
            placement.make_way();
            moved.wait();
            let after = worker.join().unwrap();
            // SAFETY: the set is one, and `here` a processor.
            unsafe {
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const before);
                let others = libc::CPU_COUNT(&before) > 1;
                assert_eq!(libc::CPU_ISSET(here, &after), !others);
                assert_eq!(libc::CPU_COUNT(&after), if others { libc::CPU_COUNT(&before) - 1 } else { 1 });
            }
        });
    }
}
