//! Builds graphs node by node. Each node is checked when it is added, so that an error appears
//! where the user's `forward` calls the layer.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::tensor::{Param, ReduceOp, Shape};

use super::count::multiply_adds;
use super::ops::{Concat, Flatten, Input, Mean, Normalize, Permute, Reduce, Roll, Slice, Softmax, Unflatten};
use super::{Graph, Node, NodeId, Op, passes};

/// A graph under construction, with the shapes that its values have for the inputs of the trace.
///
/// Dimensions given to the methods as `i64` may be negative and then count from the end, as in
/// torch. [`GraphBuilder::add`] takes operations whose dimensions are counted from the front.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    shapes: Vec<Shape>,
    names: HashSet<String>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next input. The shape is that of the trace.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Result<NodeId> {
        let shape = Shape::try_new(shape).ok_or_else(|| Error::TooLarge {
            node: name.to_owned(),
            found: format!("the shape {shape:?}"),
        })?;
        let id = self.push(Node::new(name, Input, Vec::new(), Vec::new()), shape);
        self.graph.inputs.push(id);
        Ok(id)
    }

    /// Any other operation; see [`Op`].
    ///
    /// A name that is taken gets torchvision's suffix: `relu`, `relu_1`, `relu_2`.
    ///
    /// # Errors
    /// An attribute out of range, a parameter of the wrong shape, an input that does not fit.
    pub fn add(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[NodeId],
        params: Vec<Option<Arc<Param>>>,
    ) -> Result<NodeId> {
        let read: Vec<_> = inputs.iter().map(|&id| self.shape_for(name, id)).collect::<Result<_>>()?;
        let op = op.into();
        if matches!(op, Op::Input(_)) {
            return Err(Error::Attribute {
                node: name.to_owned(),
                attribute: "operation",
                expected: "one with inputs; `input` adds inputs".into(),
                found: "an input".into(),
            });
        }
        let node = Node::new(name, op, inputs.to_vec(), params);
        node.check()?;
        let shape = node.shape(&read)?;
        Ok(self.push(node, shape))
    }

    /// Softmax over `dim`, or its logarithm.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn softmax(&mut self, name: &str, x: NodeId, dim: i64, log: bool) -> Result<NodeId> {
        let dim = self.dim(name, x, "dim", dim)?;
        self.add(name, Softmax { dim, log }, &[x], Vec::new())
    }

    /// Mean over `dims`; over all of them if none is given.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn mean(&mut self, name: &str, x: NodeId, dims: &[i64], keepdim: bool) -> Result<NodeId> {
        let dims = self.reduced(name, x, dims)?;
        self.add(name, Mean { dims, keepdim }, &[x], Vec::new())
    }

    /// A sum, a maximum or a minimum over `dims`; over all of them if none is given.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn reduce(
        &mut self,
        name: &str,
        x: NodeId,
        op: ReduceOp,
        dims: &[i64],
        keepdim: bool,
    ) -> Result<NodeId> {
        let dims = self.reduced(name, x, dims)?;
        self.add(name, Reduce { op, dims, keepdim }, &[x], Vec::new())
    }

    /// Merges the dimensions `start..=end` into one.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn flatten(&mut self, name: &str, x: NodeId, start: i64, end: i64) -> Result<NodeId> {
        let start = self.dim(name, x, "start_dim", start)?;
        let end = self.dim(name, x, "end_dim", end)?;
        self.add(name, Flatten { start, end }, &[x], Vec::new())
    }

    /// Reorders the dimensions.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn permute(&mut self, name: &str, x: NodeId, dims: &[i64]) -> Result<NodeId> {
        let dims = self.dims(name, x, "dims", dims)?;
        self.add(name, Permute { dims }, &[x], Vec::new())
    }

    /// Every `step`-th index of `dim` from `start` to `stop`, with the semantics of Python slices.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn slice(
        &mut self,
        name: &str,
        x: NodeId,
        dim: i64,
        [start, stop]: [Option<i64>; 2],
        step: usize,
    ) -> Result<NodeId> {
        let dim = self.dim(name, x, "dim", dim)?;
        self.add(name, Slice { dim, start, stop, step, index: false }, &[x], Vec::new())
    }

    /// One index of `dim`, which is kept with size 1. Unlike a slice's bounds, it must be inside
    /// the dimension.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`]; [`Error::Index`].
    pub fn index(&mut self, name: &str, x: NodeId, dim: i64, index: i64) -> Result<NodeId> {
        let dim = self.dim(name, x, "dim", dim)?;
        let stop = if index == -1 { None } else { Some(index.saturating_add(1)) };
        let op = Slice { dim, start: Some(index), stop, step: 1, index: true };
        self.add(name, op, &[x], Vec::new())
    }

    /// Splits one dimension into several; one of their sizes may be -1.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn unflatten(&mut self, name: &str, x: NodeId, dim: i64, sizes: Vec<i64>) -> Result<NodeId> {
        let dim = self.dim(name, x, "dim", dim)?;
        self.add(name, Unflatten { dim, sizes }, &[x], Vec::new())
    }

    /// A cyclic shift along dimensions.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn roll(&mut self, name: &str, x: NodeId, shifts: &[i64], dims: &[i64]) -> Result<NodeId> {
        if shifts.len() != dims.len() {
            return Err(Error::Attribute {
                node: name.to_owned(),
                attribute: "shifts",
                expected: format!("one for each of the dims {dims:?}"),
                found: format!("{shifts:?}"),
            });
        }
        let dims = self.dims(name, x, "dims", dims)?;
        let shifts = dims.into_iter().zip(shifts.iter().copied()).collect();
        self.add(name, Roll { shifts }, &[x], Vec::new())
    }

    /// Divides by the Euclidean norm along `dim`, but at least by `eps`.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn normalize(&mut self, name: &str, x: NodeId, dim: i64, eps: f32) -> Result<NodeId> {
        let dim = self.dim(name, x, "dim", dim)?;
        self.add(name, Normalize { dim, eps }, &[x], Vec::new())
    }

    /// The concatenation of values along `dim`.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn concat(&mut self, name: &str, xs: &[NodeId], dim: i64) -> Result<NodeId> {
        let dim = match xs {
            [first, ..] => self.dim(name, *first, "dim", dim)?,
            [] => 0,
        };
        self.add(name, Concat { dim }, xs, Vec::new())
    }

    /// The shape of a value for the inputs of the trace.
    ///
    /// # Errors
    /// [`Error::Input`] if the value does not exist.
    pub fn shape(&self, value: NodeId) -> Result<Shape> {
        self.shape_for("graph", value)
    }

    /// The name of a value, with its suffix if it was taken.
    ///
    /// # Errors
    /// [`Error::Input`] if the value does not exist.
    pub fn name(&self, value: NodeId) -> Result<&str> {
        self.shape(value)?;
        Ok(&self.graph.nodes[value.0].name)
    }

    /// The multiply-adds of a value for the inputs of the trace; see [`multiply_adds`].
    ///
    /// # Errors
    /// [`Error::Input`] if the value does not exist.
    pub fn multiply_adds(&self, value: NodeId) -> Result<u64> {
        let shape = self.shape(value)?;
        let node = &self.graph.nodes[value.0];
        let inputs: Vec<_> = node.inputs.iter().map(|id| self.shapes[id.0]).collect();
        Ok(multiply_adds(node, &inputs, shape))
    }

    /// The next output. A value may be an output twice.
    ///
    /// # Errors
    /// [`Error::Input`] if the value does not exist.
    pub fn output(&mut self, value: NodeId) -> Result<()> {
        self.shape_for("output", value)?;
        self.graph.outputs.push(value);
        Ok(())
    }

    /// Adds the nodes of a graph with one input and one output; they read `x` in place of its
    /// input.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no such value or the graph has other inputs and outputs; a node
    /// whose input does not fit.
    pub fn inline(&mut self, graph: &Graph, x: NodeId) -> Result<NodeId> {
        self.shape(x)?;
        let ([_], [output]) = (&graph.inputs[..], &graph.outputs[..]) else {
            return Err(Error::Input {
                what: "graph".into(),
                expected: "one input and one output".into(),
                found: format!("{} and {}", graph.inputs.len(), graph.outputs.len()),
            });
        };
        let mut now: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            if matches!(node.op, Op::Input(_)) {
                now.push(x);
                continue;
            }
            let inputs: Vec<_> = node.inputs.iter().map(|id| now[id.0]).collect();
            let read: Vec<_> = inputs.iter().map(|id| self.shapes[id.0]).collect();
            let shape = node.shape(&read)?;
            now.push(self.push(Node { inputs, ..node.clone() }, shape));
        }
        Ok(now[output.0])
    }

    /// The graph as it was traced, without passes.
    pub fn traced(&self) -> &Graph {
        &self.graph
    }

    /// The graph after all passes.
    ///
    /// # Errors
    /// [`Error::Input`] if it has no output.
    pub fn finish(&self) -> Result<Graph> {
        if self.graph.outputs.is_empty() {
            return Err(Error::Input {
                what: "graph".into(),
                expected: "at least one output".into(),
                found: "none".into(),
            });
        }
        Ok(passes::optimize(self.graph.clone()))
    }

    fn push(&mut self, mut node: Node, shape: Shape) -> NodeId {
        if !self.names.insert(node.name.clone()) {
            // One of these is free: there are as many candidates as taken names, one of which has
            // no suffix.
            let mut suffixed = (1..=self.names.len()).map(|i| format!("{}_{i}", node.name));
            node.name = suffixed.find(|name| !self.names.contains(name)).expect("a free suffix");
            self.names.insert(node.name.clone());
        }
        self.graph.nodes.push(node);
        self.shapes.push(shape);
        NodeId(self.graph.nodes.len() - 1)
    }

    fn shape_for(&self, name: &str, id: NodeId) -> Result<Shape> {
        self.shapes.get(id.0).copied().ok_or_else(|| Error::Input {
            what: name.to_owned(),
            expected: format!("one of this graph's {} values", self.shapes.len()),
            found: format!("value {}", id.0),
        })
    }

    /// A dimension counted from the front; a scalar counts as having one dimension.
    fn dim(&self, name: &str, x: NodeId, attribute: &'static str, dim: i64) -> Result<usize> {
        let shape = self.shape_for(name, x)?;
        let rank = shape.rank().max(1) as i64;
        if (-rank..rank).contains(&dim) {
            return Ok(dim.rem_euclid(rank) as usize);
        }
        Err(Error::Attribute {
            node: name.to_owned(),
            attribute,
            expected: format!("in {}..={} for the input {shape}", -rank, rank - 1),
            found: dim.to_string(),
        })
    }

    /// The dimensions of a reduction, ascending; all of them if none is given.
    fn reduced(&self, name: &str, x: NodeId, dims: &[i64]) -> Result<Vec<usize>> {
        let mut dims = self.dims(name, x, "dim", dims)?;
        if dims.is_empty() {
            dims = (0..self.shape_for(name, x)?.rank()).collect();
        }
        dims.sort_unstable();
        Ok(dims)
    }

    fn dims(&self, name: &str, x: NodeId, attribute: &'static str, dims: &[i64]) -> Result<Vec<usize>> {
        dims.iter().map(|&dim| self.dim(name, x, attribute, dim)).collect()
    }
}
