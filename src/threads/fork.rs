//! Use after `fork`: a child has one thread and a copy of every lock in its current state.
//!
//! The pool's threads do not exist in the child, so it starts its own. Locks must not be copied
//! while another thread holds them. Everything that takes a lock (making a plan, taking a
//! workspace) therefore does so inside [`hold_fork`], and `fork` waits until no thread is inside.
//! No Python code runs inside, so the wait ends.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static FORKING: AtomicBool = AtomicBool::new(false);
static IN_CHILD: OnceLock<fn()> = OnceLock::new();

/// Makes `fork` wait while it lives.
pub struct ForkGuard(PhantomData<*const ()>);

/// Enter a section in which the process must not fork. Sections may nest.
pub fn hold_fork() -> ForkGuard {
    install_handlers();
    loop {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if !FORKING.load(Ordering::SeqCst) {
            return ForkGuard(PhantomData);
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        std::thread::yield_now();
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
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
