//! Panics that become errors, with their message and source location.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// The number of nested calls of [`caught`] on this thread.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
    /// The source location of the panic that is unwinding to [`caught`].
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Run `job`. If it panics, return the panic's message as an error, with the source location if
/// [`keep_quiet`] was called.
///
/// # Errors
/// If `job` panics. Data that `job` was changing may be in an inconsistent state: the caller must
/// discard it or ensure that this does not matter.
pub fn caught<T>(job: impl FnOnce() -> T) -> Result<T, String> {
    /// Decrements the count, however `caught` is left.
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

/// Do not print panics that [`caught`] catches. Their message and location are in the error, and
/// the standard library's output, with its advice on Rust backtraces, is of no use to a Python
/// user. All other panics are printed as before, including a second panic during unwinding, after
/// which the process aborts.
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
        // Inside another one, and on other threads.
        let nested = caught(|| caught(|| -> u8 { panic!("inner") }).unwrap_err());
        assert!(nested.unwrap().starts_with("inner (src/panics.rs:"));
        let thread = std::thread::spawn(|| caught(|| -> u8 { std::panic::panic_any(7_u8) }));
        assert!(thread.join().unwrap().unwrap_err().starts_with("a panic without a message (src/panics.rs:"));
        assert_eq!(INSIDE.get(), 0);
        assert!(PLACE.with_borrow(Option::is_none));
    }
}
