//! Networks after tracing.

use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::error::Error;
use crate::plan::Network;
use crate::tensor::Shape;

/// A traced network, after the passes.
///
/// Made by `GraphBuilder.finish`; immutable, so that many threads may use it at once.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct Graph {
    network: Network,
    node_names: Vec<String>,
}

impl Graph {
    /// A graph, and the names of its nodes before the passes fused some of them.
    pub(super) fn new(graph: crate::graph::Graph, node_names: Vec<String>) -> Self {
        Self { network: Network::new(graph), node_names }
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
        self.network.graph().describe()
    }

    /// The steps of the plan for inputs of these shapes as text: node, kernel, shape, chunks.
    fn describe_plan(&self, py: Python<'_>, shapes: Vec<Vec<usize>>) -> PyResult<String> {
        let shapes = shapes.iter().map(|dims| shape_of(dims)).collect::<Result<Vec<_>, _>>()?;
        let plan = py.detach(|| self.network.plan(&shapes))?;
        Ok(plan.to_string())
    }

    /// Run on C-contiguous float32 arrays; returns one new array per output.
    ///
    /// The interpreter's lock is released meanwhile, and Ctrl-C stops the run.
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<PyReadonlyArrayDyn<'py, f32>>,
    ) -> PyResult<Vec<Bound<'py, PyArrayDyn<f32>>>> {
        let mut shapes = Vec::with_capacity(inputs.len());
        let mut slices = Vec::with_capacity(inputs.len());
        for (i, array) in inputs.iter().enumerate() {
            shapes.push(shape_of(array.shape())?);
            // `as_slice` alone would take Fortran's order too.
            let slice = if array.is_c_contiguous() { array.as_slice().ok() } else { None };
            slices.push(slice.ok_or_else(|| Error::Input {
                what: format!("input {i}"),
                expected: "an aligned, C-contiguous array".into(),
                found: "another memory layout; use numpy.require(x, requirements=\"CA\")".into(),
            })?);
        }
        let plan = py.detach(|| self.network.plan(&shapes))?;
        let outputs: Vec<_> =
            plan.outputs().iter().map(|shape| PyArrayDyn::<f32>::zeros(py, &shape[..], false)).collect();
        let mut guards: Vec<_> = outputs.iter().map(PyArrayMethods::readwrite).collect();
        let mut targets = guards.iter_mut().map(|g| g.as_slice_mut()).collect::<Result<Vec<_>, _>>()?;
        let mut signal = None;
        let mut interrupted = || {
            signal = Python::attach(|py| py.check_signals()).err();
            signal.is_some()
        };
        let result = py.detach(|| self.network.run(&plan, &slices, &mut targets, &mut interrupted));
        // The exception that the signal's handler raised, which need not be KeyboardInterrupt.
        match signal {
            Some(raised) => Err(raised),
            None => result.map(|()| outputs).map_err(PyErr::from),
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "Graph({} nodes traced, {} after fusing)",
            self.node_names.len(),
            self.network.graph().nodes.len()
        )
    }
}

fn shape_of(dims: &[usize]) -> Result<Shape, Error> {
    Shape::try_new(dims)
        .ok_or_else(|| Error::TooLarge { node: "input".into(), found: format!("the shape {dims:?}") })
}
