//! Dense predictors: what their cells mean.

use pyo3::prelude::*;

use crate::graph::dense::Dense;

/// A classifier's dense predictor, made by `GraphBuilder.convolutionize` and used by `inline`.
///
/// Pairs are vertical and horizontal, in pixels.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct DenseGraph(pub(super) Dense);

#[pymethods]
impl DenseGraph {
    /// The size of the picture that the classifier would be given.
    #[getter]
    fn window(&self) -> (usize, usize) {
        self.0.geometry.window.into()
    }

    /// From a cell's window to its neighbour's.
    #[getter]
    fn stride(&self) -> (usize, usize) {
        self.0.geometry.stride.into()
    }

    /// The stride of the network itself.
    #[getter]
    fn native_stride(&self) -> (usize, usize) {
        self.0.geometry.native_stride.into()
    }

    /// What the first cell depends on: (start, size) vertically and horizontally. It may begin before the
    /// picture, in its padding.
    #[getter]
    fn receptive_field(&self) -> ((i64, usize), (i64, usize)) {
        let [down, across] = self.0.geometry.receptive_field.map(|reach| (reach.start, reach.size));
        (down, across)
    }

    /// The nodes before the passes as text, one a line.
    fn describe(&self) -> String {
        self.0.graph.describe()
    }

    fn __repr__(&self) -> String {
        format!("DenseGraph({} nodes)", self.0.graph.nodes.len())
    }
}
