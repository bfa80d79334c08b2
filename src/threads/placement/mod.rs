//! Keeps the workers and the caller on different processors.
//!
//! Linux may place a worker that the caller wakes on the caller's own processor although another
//! one is idle: it searches for idle processors only while its load estimate says that this pays
//! off, and with two or a few processors the estimate rounds down to never. The worker then waits
//! until the next load balancing, four to eight milliseconds later, when one thread has long
//! finished a small network. Therefore workers that last ran on the caller's processor are kept
//! off it until they have woken up.
//!
//! A worker that is preempted in the middle of a chunk stalls all others, because they soon have
//! nothing left to do. With the usual tick of Linux this lasts four milliseconds, whereas a layer
//! takes half of one. Therefore a waiting worker changes places with it. The preempted worker
//! continues at once, and the worker that is now in the other process's queue is one that nobody
//! waits for.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod system;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::count::CALLER;

/// Which processors the caller (worker 0) and the other workers may use and are on.
#[derive(Debug)]
pub(super) struct Placement(Mutex<system::State>);

impl Placement {
    /// For a caller with other workers, or for a caller alone. Must be created before the threads
    /// of the others.
    pub(super) fn new(others: bool) -> Self {
        Self(Mutex::new(if others { system::State::with_keeper() } else { system::State::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, system::State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calling thread is this worker from now on.
    pub(super) fn join(&self, worker: usize) {
        self.lock().join(worker);
    }

    /// The calling thread, which is this worker, has started a job or is about to end it.
    pub(super) fn seen(&self, worker: usize) {
        self.lock().seen(worker);
    }

    /// The calling thread is the caller of the next job until it drops the return value. Keeps the
    /// workers off its processor until they have started.
    pub(super) fn make_way(&self) -> Presence<'_> {
        let mut state = self.lock();
        state.join(CALLER);
        state.make_way();
        Presence(self)
    }

    /// The CPU time of a worker in nanoseconds, if it is not running at the moment.
    pub(super) fn stands_at(&self, worker: usize) -> Option<u64> {
        self.lock().stands_at(worker)
    }

    /// Move a worker that is not running to the calling thread's processor.
    pub(super) fn make_room(&self, worker: usize) -> bool {
        here().is_some_and(|here| self.lock().put(worker, here))
    }

    /// Move `worker`, which is not running, to the processor of the calling thread, which is worker
    /// `me` and moves to `processor`. Returns whether both moves were allowed and made.
    pub(super) fn change_places(&self, me: usize, worker: usize, processor: usize) -> bool {
        let mut state = self.lock();
        let Some(here) = here().filter(|&here| here != processor && state.may_use(me, processor)) else {
            return false;
        };
        if !state.put(worker, here) {
            return false;
        }
        let going = state.going(me, processor);
        // It may take a while until this thread runs again, so the lock is released first.
        drop(state);
        going.go();
        self.lock().gone(me, &going);
        true
    }
}

/// The caller is running a job. Dropping this restores every mask to the user's, before one of the
/// user's threads or processes can inherit a changed one.
pub(super) struct Presence<'a>(&'a Placement);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.lock().leave();
    }
}

/// The processor that the calling thread runs on, if the system tells.
pub(super) fn here() -> Option<usize> {
    system::here()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::system::{allow, allowed, only};
    use super::{CALLER, Placement, here};

    /// Call `act` beside a worker that has joined and sleeps. Returns the processors that the
    /// worker may use afterwards.
    fn with_a_worker(placement: &Placement, act: impl FnOnce(libc::pid_t)) -> Vec<usize> {
        let thread = std::sync::atomic::AtomicI32::new(0);
        let (joined, over) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                placement.join(1);
                // SAFETY: asks about this thread only.
                thread.store(unsafe { libc::gettid() }, Ordering::SeqCst);
                joined.wait();
                over.wait();
                processors()
            });
            joined.wait();
            let before = allowed(0).unwrap();
            act(thread.load(Ordering::SeqCst));
            assert!(allow(0, &before));
            over.wait();
            worker.join().unwrap()
        })
    }

    /// The processors that the calling thread may use.
    fn processors() -> Vec<usize> {
        of(0)
    }

    /// Pin this thread to its current processor and return its number.
    fn stay() -> usize {
        let mut here = here().unwrap();
        while !allow(0, &only(here)) || super::here() != Some(here) {
            here = super::here().unwrap();
        }
        here
    }

    /// The processors that a thread may use.
    fn of(thread: libc::pid_t) -> Vec<usize> {
        let set = allowed(thread).unwrap();
        // SAFETY: the set is initialised, and the numbers are below CPU_SETSIZE.
        (0..libc::CPU_SETSIZE as usize).filter(|&p| unsafe { libc::CPU_ISSET(p, &set) }).collect()
    }

    #[test]
    fn a_worker_that_wakes_is_kept_off_the_callers_processor() {
        let (placement, all) = (Placement::new(true), processors());
        let after = with_a_worker(&placement, |worker| {
            let caller = stay();
            placement.lock().last_seen_here(1);
            let present = placement.make_way();
            let others: Vec<_> = all.iter().copied().filter(|&p| p != caller).collect();
            assert_eq!(of(worker), if others.is_empty() { all.clone() } else { others });
            drop(present);
            assert_eq!(of(worker), all);
        });
        assert_eq!(after, all);
    }

    #[test]
    fn a_mask_that_the_user_sets_meanwhile_stays() {
        let (placement, all) = (Placement::new(true), processors());
        let after = with_a_worker(&placement, |worker| {
            let caller = stay();
            placement.lock().last_seen_here(1);
            // The user sets the mask of the worker alone, to another than the narrowed one.
            let present = placement.make_way();
            assert!(allow(worker, &only(caller)));
            drop(present);
            assert_eq!(of(worker), [caller]);
            // The worker now has a mask of its own, and nothing takes it away.
            drop(placement.make_way());
            placement.make_room(1);
            assert_eq!(of(worker), [caller]);
        });
        assert_eq!(after.len(), 1);
        assert!(all.contains(&after[0]));
    }

    #[test]
    fn a_mask_that_all_threads_are_given_meanwhile_stays_though_it_looks_the_same() {
        let (placement, all) = (Placement::new(true), processors());
        if all.len() < 2 {
            return;
        }
        let mut other = 0;
        let after = with_a_worker(&placement, |worker| {
            let caller = stay();
            other = *all.iter().find(|&&p| p != caller).unwrap();
            placement.lock().last_seen_here(1);
            let present = placement.make_way();
            for thread in [placement.lock().keeper(), worker] {
                assert!(allow(thread, &only(other)));
            }
            drop(present);
        });
        assert_eq!(after, [other]);
    }

    #[test]
    fn the_caller_changes_places_with_a_worker_and_keeps_its_own_processors() {
        let (placement, all) = (Placement::new(true), processors());
        let mut from = 0;
        let after = with_a_worker(&placement, |_| {
            placement.join(CALLER);
            let whole = allowed(0).unwrap();
            from = stay();
            // It does not move to its own processor or to one that it may not use.
            assert!(!placement.change_places(CALLER, 1, from));
            assert!(!placement.change_places(CALLER, 1, libc::CPU_SETSIZE as usize - 1));
            if let Some(&to) = all.iter().find(|&&p| p != from) {
                // The user's current mask applies: a pinned caller stays.
                assert!(!placement.change_places(CALLER, 1, to));
                assert!(allow(0, &whole));
                // The system may have moved it there in the meantime.
                assert!(placement.change_places(CALLER, 1, to) || here() == Some(to));
                assert_eq!(processors(), all);
            }
        });
        assert_eq!(after, all);
    }

    #[test]
    fn nobody_moves_a_caller_whose_job_is_over() {
        let placement = Placement::new(true);
        let present = placement.make_way();
        let all = processors();
        assert!(placement.make_room(CALLER));
        assert_eq!(processors(), all);
        drop(present);
        assert!(!placement.make_room(CALLER));
        assert_eq!(placement.stands_at(CALLER), None);
    }

    #[test]
    fn a_worker_stands_when_it_sleeps_and_not_when_it_runs() {
        let (placement, joined, over) = (Placement::new(true), Barrier::new(2), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                placement.join(1);
                joined.wait();
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            joined.wait();
            // Another process may preempt it, but not all the time.
            while placement.stands_at(1).is_some() {
                std::thread::yield_now();
            }
            over.store(true, Ordering::Relaxed);
        });
        with_a_worker(&placement, |_| {
            while placement.stands_at(1).is_none() {
                std::thread::yield_now();
            }
        });
        assert_eq!(placement.stands_at(2), None, "who has not joined");
    }
}
