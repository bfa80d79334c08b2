//! Dense predictors and the geometry of their cells.

use pyo3::prelude::*;

use crate::graph::dense::Dense;

/// A classifier's dense predictor, made by `GraphBuilder.convolutionize` and used by `inline`.
///
/// Pairs are vertical and horizontal, in pixels.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct DenseGraph(pub(super) Dense);

#[pymethods]
impl DenseGraph {
    /// The size of the classifier's window.
    #[getter]
    fn window(&self) -> (usize, usize) {
        self.0.geometry.window.into()
    }

    /// The distance between the windows of neighbouring cells.
    #[getter]
    fn stride(&self) -> (usize, usize) {
        self.0.geometry.stride.into()
    }

    /// The network's own stride.
    #[getter]
    fn native_stride(&self) -> (usize, usize) {
        self.0.geometry.native_stride.into()
    }

    /// The receptive field of the first cell: (start, size) vertically and horizontally. It may
    /// begin before the picture, in its padding.
    #[getter]
    fn receptive_field(&self) -> ((i64, usize), (i64, usize)) {
        let [down, across] = self.0.geometry.receptive_field.map(|reach| (reach.start, reach.size));
        (down, across)
    }

    /// The nodes before the passes as text, one per line.
    fn describe(&self) -> String {
        self.0.graph.describe()
    }

    fn __repr__(&self) -> String {
        format!("DenseGraph({} nodes)", self.0.graph.nodes.len())
    }
}
