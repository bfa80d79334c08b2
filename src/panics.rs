//! Panics that become errors: caught with their message and the place in the source.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
    /// Where the panic that is on its way to [`caught`] began.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Do `job`; if it panics, the error is the panic's message, with its place if [`keep_quiet`] was called.
///
/// # Errors
/// A panic. What `job` has changed half may look like anything: the caller gives it up, or sees to it that
/// this does not matter.
pub fn caught<T>(job: impl FnOnce() -> T) -> Result<T, String> {
    /// Counts down on every way out.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            INSIDE.set(INSIDE.get() - 1);
        }
    }
    INSIDE.set(INSIDE.get() + 1);
    let _leave = Leave;
    catch_unwind(AssertUnwindSafe(job)).map_err(|panic| {
        let message = message(panic.as_ref());
        match PLACE.take() {
            Some(place) => format!("{message} ({place})"),
            None => message,
        }
    })
}

/// From now on a panic on its way to [`caught`] is not printed: its message and its place are in the error,
/// and what the standard library prints, with advice on backtraces of Rust, is nothing to a user of Python. All
/// others are printed as before, among them a second one on the way, after which the process aborts.
pub fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let first = INSIDE.get() > 0 && PLACE.with_borrow(Option::is_none);
            if first && let Some(place) = info.location() {
                PLACE.set(Some(format!("{}:{}", place.file(), place.line())));
            } else {
                before(info);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message_and_its_place() {
        keep_quiet();
        assert_eq!(caught(|| 7), Ok(7));
        for _ in 0..2 {
            let found = caught(|| -> u8 { panic!("of {}", "all") }).unwrap_err();
            assert!(found.starts_with("of all (src/panics.rs:"), "{found}");
        }
        // Inside of another one, and on other threads.
        let nested = caught(|| caught(|| -> u8 { panic!("inner") }).unwrap_err());
        assert!(nested.unwrap().starts_with("inner (src/panics.rs:"));
        let thread = std::thread::spawn(|| caught(|| -> u8 { std::panic::panic_any(7_u8) }));
        assert!(thread.join().unwrap().unwrap_err().starts_with("a panic without a message (src/panics.rs:"));
        assert_eq!(INSIDE.get(), 0);
        assert!(PLACE.with_borrow(Option::is_none));
    }
}
