//! Networks after tracing.

use std::sync::Arc;

use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::errors::interruptible;
use super::guard::{guarded, zeros};
use crate::error::Error;
use crate::plan::{self, Network, Plan, StepTime, Times};
use crate::tensor::Shape;

/// A traced network, after the passes.
///
/// Made by `GraphBuilder.finish`; immutable, so many threads may use it concurrently.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct Graph {
    network: Network,
    node_names: Vec<String>,
}

impl Graph {
    /// A graph, and the names of its nodes before the passes fused some of them.
    pub(super) fn new(
        graph: crate::graph::Graph,
        node_names: Vec<String>,
        workspaces: Option<&Workspaces>,
    ) -> Result<Self, Error> {
        let shared = workspaces.map(|workspaces| Arc::clone(&workspaces.0)).unwrap_or_default();
        Ok(Self { network: Network::sharing(graph, shared)?, node_names })
    }
}

/// Memory for runs, shared by several graphs.
///
/// Given to `GraphBuilder.finish`. It grows to the largest run's size, once for each concurrent
/// caller.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct Workspaces(Arc<plan::Workspaces>);

#[pymethods]
impl Workspaces {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }
}

/// A row of a profile.
type StepRow<'py> = (String, &'static str, Bound<'py, PyTuple>, usize, usize, f64, f64);

impl Graph {
    /// Make a plan for the inputs' shapes and allocate the outputs, then run `job` without the GIL.
    fn execute<'py, T: Send>(
        &self,
        py: Python<'py>,
        inputs: &[PyReadonlyArrayDyn<'py, f32>],
        chosen_for: Option<Vec<Vec<usize>>>,
        job: impl FnOnce(&Arc<Plan>, &[&[f32]], &mut [&mut [f32]], &mut dyn FnMut() -> bool) -> Result<T, Error>
        + Send,
    ) -> PyResult<(T, Vec<Bound<'py, PyArrayDyn<f32>>>)> {
        let mut shapes = Vec::with_capacity(inputs.len());
        let mut slices = Vec::with_capacity(inputs.len());
        for (i, array) in inputs.iter().enumerate() {
            shapes.push(shape_of(array.shape())?);
            // `as_slice` alone would also accept Fortran order.
            let slice = if array.is_c_contiguous() { array.as_slice().ok() } else { None };
            slices.push(slice.ok_or_else(|| Error::Input {
                what: format!("input {i}"),
                expected: "an aligned, C-contiguous array".into(),
                found: "another memory layout; use numpy.require(x, requirements=\"CA\")".into(),
            })?);
        }
        let chosen_for = chosen_for.map(|shapes| shapes_of(&shapes)).transpose()?;
        let chosen_for = chosen_for.as_deref().unwrap_or(&shapes);
        let plan = py.detach(|| self.network.plan_chosen_for(&shapes, chosen_for))?;
        let outputs: Vec<_> = plan
            .outputs()
            .iter()
            .map(|shape| zeros(py, shape, "a network's output"))
            .collect::<PyResult<_>>()?;
        let mut guards: Vec<_> = outputs.iter().map(PyArrayMethods::readwrite).collect();
        let mut targets = guards.iter_mut().map(|g| g.as_slice_mut()).collect::<Result<Vec<_>, _>>()?;
        let run = |interrupted: &mut dyn FnMut() -> bool| job(&plan, &slices, &mut targets, interrupted);
        Ok((interruptible(py, run)?, outputs))
    }
}

#[pymethods]
impl Graph {
    /// The names of the nodes in the order of tracing, inputs included, fused or not.
    #[getter]
    fn node_names(&self) -> Vec<String> {
        self.node_names.clone()
    }

    /// The nodes after the passes as text, one per line.
    fn describe(&self) -> String {
        self.network.graph().describe()
    }

    /// The steps of the plan for inputs of these shapes as text: node, kernel, shape, chunks.
    fn describe_plan(&self, py: Python<'_>, shapes: Vec<Vec<usize>>) -> PyResult<String> {
        let shapes = shapes_of(&shapes)?;
        guarded(|| Ok::<_, PyErr>(py.detach(|| self.network.plan(&shapes))?.to_string()))
    }

    /// Bytes of intermediate values and scratch in a run on inputs of these shapes, besides
    /// weights, inputs and outputs. Makes (and keeps) the plan without running it.
    fn memory(&self, py: Python<'_>, shapes: Vec<Vec<usize>>) -> PyResult<usize> {
        let shapes = shapes_of(&shapes)?;
        guarded(|| Ok::<_, PyErr>(py.detach(|| self.network.plan(&shapes))?.workspace_bytes()))
    }

    /// Run on C-contiguous float32 arrays; returns one new array per output.
    ///
    /// The GIL is released during the run, and Ctrl-C stops it.
    ///
    /// `chosen_for` are the shapes of larger inputs (same rank and channels) whose kernels are
    /// used. Then a part of a picture gives the same bits as in the whole picture, away from its
    /// edges, if it begins at a multiple of 4 times the strides and dilations.
    #[pyo3(signature = (inputs, chosen_for = None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<PyReadonlyArrayDyn<'py, f32>>,
        chosen_for: Option<Vec<Vec<usize>>>,
    ) -> PyResult<Vec<Bound<'py, PyArrayDyn<f32>>>> {
        guarded(|| {
            let ((), outputs) =
                self.execute(py, &inputs, chosen_for, |plan, inputs, outputs, interrupted| {
                    self.network.run(plan, inputs, outputs, interrupted)
                })?;
            Ok::<_, PyErr>(outputs)
        })
    }

    /// Run `runs` times after a warm-up run, and time the steps inside these runs.
    ///
    /// Returns for each step: node, kernel, output shape, multiply-adds, bytes of its operands,
    /// median and minimum seconds; then median and minimum seconds of the runs, which include
    /// entering and leaving the worker pool.
    #[pyo3(signature = (inputs, runs = 20))]
    fn profile<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<PyReadonlyArrayDyn<'py, f32>>,
        runs: usize,
    ) -> PyResult<(Vec<StepRow<'py>>, (f64, f64))> {
        let (profile, _) = guarded(|| {
            self.execute(py, &inputs, None, |plan, inputs, outputs, interrupted| {
                self.network.profile(plan, inputs, outputs, runs, interrupted)
            })
        })?;
        let seconds = |times: Times| (times.median.as_secs_f64(), times.least.as_secs_f64());
        let row = |step: StepTime| {
            let (median, least) = seconds(step.times);
            let shape = PyTuple::new(py, step.shape.iter())?;
            Ok((step.name, step.kernel, shape, step.macs, step.bytes, median, least))
        };
        let rows = profile.steps.into_iter().map(row).collect::<PyResult<_>>()?;
        Ok((rows, seconds(profile.run)))
    }

    fn __repr__(&self) -> String {
        format!(
            "Graph({} nodes traced, {} after fusing)",
            self.node_names.len(),
            self.network.graph().nodes.len()
        )
    }
}

fn shapes_of(shapes: &[Vec<usize>]) -> Result<Vec<Shape>, Error> {
    shapes.iter().map(|dims| shape_of(dims)).collect()
}

fn shape_of(dims: &[usize]) -> Result<Shape, Error> {
    Shape::try_new(dims)
        .ok_or_else(|| Error::TooLarge { node: "input".into(), found: format!("the shape {dims:?}") })
}
