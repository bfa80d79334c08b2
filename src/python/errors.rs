//! The mapping from the crate's [`Error`] to Python exceptions.
//!
//! The classes are defined in `rvision/errors.py`, since the stable ABI does not allow creating a
//! class with two bases from Rust. The match has no wildcard: a new variant must choose its
//! exception here.

use pyo3::exceptions::{PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::error::Error;

/// A class of `rvision.errors`, imported when it is first raised.
struct Exception {
    name: &'static str,
    class: PyOnceLock<Py<PyType>>,
}

impl Exception {
    const fn new(name: &'static str) -> Self {
        Self { name, class: PyOnceLock::new() }
    }

    fn with_message(&self, py: Python<'_>, message: String) -> PyErr {
        match self.class.import(py, "rvision.errors", self.name) {
            Ok(class) => PyErr::from_type(class.clone(), (message,)),
            Err(import_failed) => import_failed,
        }
    }
}

static INTERNAL: Exception = Exception::new("InternalError");
static SHAPE: Exception = Exception::new("ShapeError");
static ARGUMENT: Exception = Exception::new("ArgumentError");
static UNSUPPORTED: Exception = Exception::new("UnsupportedError");
static WEIGHT_FILE: Exception = Exception::new("WeightFileError");

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| to_exception(py, error))
    }
}

fn to_exception(py: Python<'_>, error: Error) -> PyErr {
    let exception = match &error {
        Error::Channels { .. }
        | Error::Rank { .. }
        | Error::WindowTooLarge { .. }
        | Error::Mismatch { .. }
        | Error::TooLarge { .. }
        | Error::Reshape { .. }
        | Error::Sizes { .. }
        | Error::ParameterShape { .. }
        | Error::Input { .. } => &SHAPE,
        Error::Attribute { .. } | Error::Environment { .. } => &ARGUMENT,
        Error::Unsupported { .. } | Error::UnsupportedFile { .. } => &UNSUPPORTED,
        Error::NotWeights { .. }
        | Error::NoStateDict { .. }
        | Error::DamagedFile { .. }
        | Error::RefusedGlobal { .. }
        | Error::FileLimit { .. } => &WEIGHT_FILE,
        Error::WorkerPanic { .. } | Error::Panic { .. } => &INTERNAL,
        Error::Interrupted => return PyKeyboardInterrupt::new_err(()),
        Error::Index { .. } => return PyIndexError::new_err(error.to_string()),
        Error::OutOfMemory { .. } => return PyMemoryError::new_err(error.to_string()),
        Error::Io { path, source } => return os_error(path, source),
    };
    exception.with_message(py, error.to_string())
}

/// `OSError(errno, message, filename)`, which Python turns into `FileNotFoundError` and so on.
fn os_error(path: &str, source: &std::io::Error) -> PyErr {
    let Some(errno) = source.raw_os_error() else {
        return PyOSError::new_err(format!("{path}: {source}"));
    };
    let message = source.to_string();
    // Rust appends the error number; Python prepends it.
    let message = message.strip_suffix(&format!(" (os error {errno})")).unwrap_or(&message);
    PyOSError::new_err((errno, message.to_owned(), path.to_owned()))
}

/// Run `job` without the GIL. From time to time it calls its argument to ask whether to stop, which
/// lets Python's signal handlers run.
pub(super) fn interruptible<T: Send>(
    py: Python<'_>,
    job: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let mut signal = None;
    #[expect(clippy::redundant_closure_for_method_calls, reason = "a path has one lifetime only")]
    let mut interrupted = || {
        signal = Python::attach(|py| py.check_signals()).err();
        signal.is_some()
    };
    let result = py.detach(|| job(&mut interrupted));
    // The signal handler's exception, which need not be KeyboardInterrupt.
    match signal {
        Some(raised) => Err(raised),
        None => result.map_err(PyErr::from),
    }
}
