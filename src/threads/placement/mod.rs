//! Workers and the caller on different processors.
//!
//! A worker that the caller wakes may be put on the caller's own processor although another one is
//! idle: Linux looks for idle ones only while its estimate of the load says that it pays, and
//! with two or a few processors that rounds down to never. The worker then waits until the next
//! balancing, four to eight milliseconds later, when a small network has long been computed by one
//! thread. So workers that were last on the processor that the caller is on are kept off it until they have woken.
//!
//! A worker that another process takes the processor from, in the middle of a chunk, holds up all
//! others, who soon have nothing left to do: for four milliseconds with the usual clock of Linux, when
//! a layer takes half of one. So one of those who wait changes places with it: it goes on at once,
//! and what stands in the other process's queue is a worker that nobody waits for.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod system;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which processors the caller (worker 0) and the other workers may use and are on.
#[derive(Debug)]
pub(super) struct Placement(Mutex<system::State>);

impl Placement {
    /// For a caller and others, or for a caller alone. To be made before the others' threads.
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

    /// The calling thread, which is this worker, has begun with a job, or ends it.
    pub(super) fn seen(&self, worker: usize) {
        self.lock().seen(worker);
    }

    /// The calling thread is the caller of the next job until it drops what this returns: keep the workers
    /// off the processor it is on until they have begun.
    pub(super) fn make_way(&self) -> Presence<'_> {
        let mut state = self.lock();
        state.join(CALLER);
        state.make_way();
        Presence(self)
    }

    /// The processor time of a worker in nanoseconds, if it is not running just now.
    pub(super) fn stands_at(&self, worker: usize) -> Option<u64> {
        self.lock().stands_at(worker)
    }

    /// Put a worker that stands on the calling thread's processor.
    pub(super) fn make_room(&self, worker: usize) -> bool {
        here().is_some_and(|here| self.lock().put(worker, here))
    }

    /// Put `worker`, which stands, on the processor of the calling thread, who is worker `me` and goes
    /// to `processor`: whether both may be there and are.
    pub(super) fn change_places(&self, me: usize, worker: usize, processor: usize) -> bool {
        let mut state = self.lock();
        let Some(here) = here().filter(|&here| here != processor && state.may_use(me, processor)) else {
            return false;
        };
        if !state.put(worker, here) {
            return false;
        }
        let going = state.going(me, processor);
        // It may be a while until this thread runs again, so not with the lock in hand.
        drop(state);
        going.go();
        self.lock().gone(me, &going);
        true
    }
}

/// The caller is at a job. Behind this every mask is the user's again, before a thread or a process of the
/// user's can inherit it.
pub(super) struct Presence<'a>(&'a Placement);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.lock().leave();
    }
}

/// The processor that the calling thread is on, where the system tells.
pub(super) fn here() -> Option<usize> {
    system::here()
}

/// The caller's number among the workers.
const CALLER: usize = 0;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::system::{allow, allowed, only};
    use super::{CALLER, Placement, here};

    /// Call `act` beside a worker that has joined and sleeps; the processors that the worker may use then.
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

    /// Stay on the processor that this thread is on: its number.
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
        // SAFETY: the set is one, and the numbers are below CPU_SETSIZE.
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
            // The worker alone, to what it is not narrowed to.
            let present = placement.make_way();
            assert!(allow(worker, &only(caller)));
            drop(present);
            assert_eq!(of(worker), [caller]);
            // It has processors of its own now, and nothing takes them from it.
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
            // To where it is, or where it may not be, it does not go.
            assert!(!placement.change_places(CALLER, 1, from));
            assert!(!placement.change_places(CALLER, 1, libc::CPU_SETSIZE as usize - 1));
            if let Some(&to) = all.iter().find(|&&p| p != from) {
                // The user's mask counts as it is now: one that is pinned stays.
                assert!(!placement.change_places(CALLER, 1, to));
                assert!(allow(0, &whole));
                // The system may have moved it there meanwhile.
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
            // Another process may hold it up, but not always.
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
