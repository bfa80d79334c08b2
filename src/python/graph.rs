//! Networks after tracing.

use std::sync::Arc;

use pyo3::prelude::*;

/// A traced network, after the passes.
///
/// Made by `GraphBuilder.finish`; immutable, so that many threads may use it at once.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct Graph {
    graph: Arc<crate::graph::Graph>,
    node_names: Vec<String>,
}

impl Graph {
    /// A graph, and the names of its nodes before the passes fused some of them.
    pub(super) fn new(graph: crate::graph::Graph, node_names: Vec<String>) -> Self {
        Self { graph: Arc::new(graph), node_names }
    }
}

#[pymethods]
impl Graph {
    /// The names of the nodes in the order of tracing, inputs included, fused or not.
    #[getter]
    fn node_names(&self) -> Vec<String> {
        self.node_names.clone()
    }

    /// The nodes after the passes as text, one a line.
    fn describe(&self) -> String {
        self.graph.describe()
    }

    fn __repr__(&self) -> String {
        format!("Graph({} nodes traced, {} after fusing)", self.node_names.len(), self.graph.nodes.len())
    }
}
