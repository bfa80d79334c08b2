//! The extension module `rvision._rvision`: the crate's Python interface, and the only code that
//! uses Python.

mod boxes;
mod builder;
mod dense;
mod errors;
mod formats;
mod graph;
mod guard;
mod param;
mod settings;

use pyo3::prelude::*;

/// The Rust half of rvision.
#[pymodule(name = "_rvision")]
mod extension {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::boxes::nms;
    #[pymodule_export]
    use super::builder::GraphBuilder;
    #[pymodule_export]
    use super::dense::DenseGraph;
    #[pymodule_export]
    use super::formats::{NotLoaded, PyCheckpoint, PyStateDict, write_safetensors_py};
    #[pymodule_export]
    use super::graph::{Graph, Workspaces};
    #[pymodule_export]
    use super::param::{Parameter, ParameterValues};
    #[pymodule_export]
    use super::settings::{
        build_info, get_num_threads, peak_multiply_adds, peak_read_bytes, set_num_threads,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::panics::keep_quiet();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
