//! The boundary to Python: panics must not cross it, and allocations may fail.

use numpy::{Element, PyArrayDescrMethods, PyArrayDyn, dtype};
use pyo3::exceptions::{PyMemoryError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::error::Error;
use crate::panics;

/// Run a job for Python. A panic is a bug of ours and becomes `rvision.InternalError`: `PyO3`'s own
/// `PanicException` is a `BaseException`, which `except Exception` does not catch, so it would end
/// servers.
pub(super) fn guarded<T, E: Into<PyErr>>(job: impl FnOnce() -> Result<T, E>) -> PyResult<T> {
    match panics::caught(job) {
        Ok(result) => result.map_err(Into::into),
        Err(message) => Err(Error::Panic { message }.into()),
    }
}

/// A new array of zeros. The numpy crate's own function panics if there is no memory.
///
/// # Errors
/// `MemoryError` with the size and `what` it is for.
pub(super) fn zeros<'py, T: Element>(
    py: Python<'py>,
    shape: &[usize],
    what: &'static str,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    static ZEROS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let zeros = ZEROS.import(py, "numpy", "zeros")?;
    let dtype = dtype::<T>(py);
    let bytes = shape.iter().fold(dtype.itemsize(), |bytes, &size| bytes.saturating_mul(size));
    match zeros.call1((PyTuple::new(py, shape)?, dtype)) {
        Ok(array) => Ok(array.cast_into()?),
        Err(error) if error.is_instance_of::<PyMemoryError>(py) => {
            Err(Error::OutOfMemory { bytes, what }.into())
        }
        Err(error) => Err(error),
    }
}

/// An integer from Python. One that does not fit in 64 bits is an `ArgumentError`; `PyO3` would
/// raise `OverflowError`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(pub(super) i64);

impl FromPyObject<'_, '_> for Whole {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match value.extract::<i64>() {
            Ok(value) => Ok(Self(value)),
            Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => Err(Error::Attribute {
                node: "GraphBuilder".into(),
                attribute: "a number",
                expected: "an integer of 64 bits".into(),
                found: value.to_string(),
            }
            .into()),
            Err(error) => Err(error),
        }
    }
}
