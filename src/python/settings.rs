//! Threads, and descriptions of this build and this machine.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::interruptible;
use super::guard::{Whole, guarded};
use crate::error::Error;
use crate::plan;
use crate::simd::Isa;
use crate::threads;

/// Use this many threads in all later runs.
///
/// The default is `RVISION_NUM_THREADS`, else `OMP_NUM_THREADS` (the first number of a list), else
/// the physical cores that the process may use. A run in progress in another thread keeps its
/// number of threads.
#[pyfunction]
pub fn set_num_threads(n: Whole) -> PyResult<()> {
    guarded(|| match usize::try_from(n.0) {
        Ok(n @ 1..) => threads::set_num_threads(n),
        _ => Err(Error::Attribute {
            node: "set_num_threads".into(),
            attribute: "n",
            expected: "positive".into(),
            found: n.0.to_string(),
        }),
    })
}

/// The number of threads of a run: the number set by `set_num_threads`, else by the environment,
/// else the physical cores that the process may use. The environment is read until the first run.
#[pyfunction]
pub fn get_num_threads() -> PyResult<usize> {
    guarded(threads::num_threads)
}

/// The peak rate of multiply-adds per second in registers, over all threads. It is measured by this
/// call, which takes some milliseconds.
#[pyfunction]
pub fn peak_multiply_adds(py: Python<'_>) -> PyResult<f64> {
    guarded(|| interruptible(py, plan::multiply_adds_per_second))
}

/// The peak rate of bytes per second read from main memory, over all threads. It is measured by
/// this call, which takes some tenths of a second and 128 MiB.
#[pyfunction]
pub fn peak_read_bytes(py: Python<'_>) -> PyResult<f64> {
    guarded(|| interruptible(py, plan::read_bytes_per_second))
}

/// Version, instruction set in use, those of this processor, and how the extension was compiled.
#[pyfunction]
pub fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("isa", Isa::current()?.name())?;
    info.set_item("available_isas", Isa::available().map(Isa::name).collect::<Vec<_>>())?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    Ok(info)
}
