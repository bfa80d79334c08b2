//! Use after `fork`: a child has one thread and a copy of every lock in its current state.
//!
//! The pool's threads do not exist in the child, so it starts its own. Locks must not be copied
//! while another thread holds them. Everything that takes a lock (making a plan, taking a
//! workspace) therefore does so inside [`hold_fork`], and `fork` waits until no thread is inside.
//! No Python code runs inside, so the wait ends.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static FORKING: AtomicBool = AtomicBool::new(false);
static IN_CHILD: OnceLock<fn()> = OnceLock::new();

thread_local! {
    /// How many sections this thread is in, one inside the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Makes `fork` wait while it lives.
pub struct ForkGuard(PhantomData<*const ()>);

/// Enter a section in which the process must not fork. Sections may nest: an inner one never waits,
/// because a waiting fork waits for the outer one.
pub fn hold_fork() -> ForkGuard {
    let depth = DEPTH.get();
    if depth == 0 {
        install_handlers();
        enter();
    }
    DEPTH.set(depth + 1);
    ForkGuard(PhantomData)
}

/// Count this thread as inside, once no fork is waiting.
fn enter() {
    loop {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if !FORKING.load(Ordering::SeqCst) {
            return;
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        std::thread::yield_now();
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(unix)]
extern "C" fn before_fork() {
    FORKING.store(true, Ordering::SeqCst);
    while INSIDE.load(Ordering::SeqCst) != 0 {
        std::thread::yield_now();
    }
}

#[cfg(unix)]
extern "C" fn after_fork_in_parent() {
    FORKING.store(false, Ordering::SeqCst);
}

#[cfg(unix)]
extern "C" fn after_fork_in_child() {
    if let Some(in_child) = IN_CHILD.get() {
        in_child();
    }
    FORKING.store(false, Ordering::SeqCst);
}

/// A forked child runs this before anything else; it may only touch atomics.
pub(super) fn on_fork_in_child(in_child: fn()) {
    IN_CHILD.get_or_init(|| in_child);
    install_handlers();
}

fn install_handlers() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        #[cfg(unix)]
        // SAFETY: the handlers use atomics only, and live as long as the program.
        unsafe {
            libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
        }
    });
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{FORKING, hold_fork};

    /// Far longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    /// Fork, and wait for the child, which ends at once.
    fn fork() {
        // SAFETY: the child calls `_exit` only, which is async-signal-safe.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork");
        if child == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for this thread's own child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }

    #[test]
    fn a_section_inside_another_does_not_wait_for_a_fork_that_waits() {
        let (entered, outside) = mpsc::channel();
        // In threads that are not joined, so that a deadlock is a failure.
        std::thread::spawn(move || {
            let outer = hold_fork();
            let (forked, done) = mpsc::channel();
            std::thread::spawn(move || {
                fork();
                forked.send(()).unwrap();
            });
            while !FORKING.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            for _ in 0..2 {
                let _inner = hold_fork();
                let _innermost = hold_fork();
            }
            assert!(done.try_recv().is_err(), "the fork waits for the outer section");
            drop(outer);
            done.recv_timeout(LONG).expect("the fork ends after the outer section");
            let _later = hold_fork();
            entered.send(()).unwrap();
        });
        outside.recv_timeout(LONG).expect("no deadlock");
    }
}
