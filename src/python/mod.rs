//! The extension module `rvision._rvision`: what Python sees of the crate, and the only place
//! that knows of Python.

mod errors;
mod formats;

use pyo3::prelude::*;

/// The Rust half of rvision.
#[pymodule(name = "_rvision")]
mod extension {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::formats::{NotLoaded, PyCheckpoint, PyStateDict, write_safetensors_py};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
