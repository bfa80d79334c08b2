//! The state of one rewriting of a classifier, and helpers of its rules.

use super::squeeze::{self, Squeezed};
use super::value::{Computed, Grid, Value};
use crate::error::{Error, Result};
use crate::graph::ops::dense_form::PER_WINDOW;
use crate::graph::{Graph, Node, NodeId, Op, infer_shapes, ops};
use crate::tensor::Shape;

/// The dimensions of rows and columns in (N, C, H, W).
pub const PICTURE: [usize; 2] = [2, 3];

/// The treatment of networks whose inner layers depend on the whole window (squeeze and excitation,
/// Hu et al., arXiv:1709.01507), so that windows cannot share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squeeze {
    /// Refuse them.
    Refused,
    /// Squeeze the whole picture's map: all cells share one excitation.
    Global,
}

/// One rewriting of a classifier.
pub struct Rewriter<'g> {
    pub old: &'g Graph,
    /// The classifier's shapes for a picture of the window's size.
    pub shapes: Vec<Shape>,
    pub squeezed: Squeezed,
    /// The requested stride; `None` removes all strides.
    pub stride: Option<[usize; 2]>,
    pub new: Graph,
    /// The result for each old node.
    pub values: Vec<Computed>,
}

impl<'g> Rewriter<'g> {
    /// A rewriting of `graph` for windows of the size of `input`.
    pub fn new(graph: &'g Graph, input: Shape, stride: Option<[usize; 2]>, squeeze: Squeeze) -> Result<Self> {
        let shapes = infer_shapes(graph, &[input])?;
        let squeezed = squeeze::find(graph, &shapes);
        let (new, values) = (Graph::default(), Vec::with_capacity(graph.nodes.len()));
        let this = Self { old: graph, shapes, squeezed, stride, new, values };
        let whole = |pool: &NodeId| {
            let op = &graph.nodes[pool.0].op;
            matches!(op, Op::AdaptiveAvgPool2d(_) | Op::AdaptiveMaxPool2d(_) | Op::Mean(_))
        };
        if let Some(pool) = this.squeezed.pools.iter().find(|pool| !whole(pool)) {
            return Err(Self::mixed(&graph.nodes[pool.0]));
        }
        match this.squeezed.pools.first() {
            Some(pool) if squeeze == Squeeze::Refused => Err(Self::refuse(
                &graph.nodes[pool.0],
                "squeeze and excitation, which looks at the whole window, in maps that windows share",
                "; choose padding='per_window' for exact windows, or squeeze='global' to squeeze the whole picture",
            )),
            _ => Ok(this),
        }
    }

    /// Adds a node whose result is the map (N, C, H, W) of this grid.
    pub fn map(&mut self, node: Node, reads: &[&Computed], grid: Grid) -> Computed {
        let id = self.append(node, reads);
        Computed { id, value: Value::Map { axes: PICTURE, grid } }
    }

    /// A node that only reshapes the value in the classifier.
    pub fn same(&mut self, node: &Node, x: &Computed, value: Value) -> Computed {
        let id = self.append(Node { op: Op::Identity(ops::Identity), ..node.clone() }, &[x]);
        Computed { id, value }
    }

    /// Adds a node that reads these values.
    pub fn append(&mut self, node: Node, reads: &[&Computed]) -> NodeId {
        let inputs = reads.iter().map(|x| x.id).collect();
        self.push(Node { inputs, ..node })
    }

    pub fn push(&mut self, node: Node) -> NodeId {
        self.new.nodes.push(node);
        NodeId(self.new.nodes.len() - 1)
    }

    /// A name that is unused in both graphs.
    pub fn free_name(&self, base: &str) -> String {
        let taken = |name: &str| self.old.nodes.iter().chain(&self.new.nodes).any(|node| node.name == name);
        let mut suffixed = (1..).map(|i| format!("{base}_{i}"));
        if taken(base) { suffixed.find(|name| !taken(name)).expect("a free suffix") } else { base.to_owned() }
    }

    /// Rows and columns of a node's result in the classifier.
    pub fn size(&self) -> [usize; 2] {
        let shape = self.shapes[self.at().0];
        [shape[2], shape[3]]
    }

    pub fn rank(&self) -> usize {
        self.shapes[self.at().0].rank()
    }

    /// The node being rewritten; values are in the graph's order.
    pub fn at(&self) -> NodeId {
        NodeId(self.values.len())
    }

    /// The grid of a value that must be a map (N, C, H, W).
    pub fn pictures(node: &Node, x: &Computed) -> Result<Grid> {
        match x.value {
            Value::Map { axes: PICTURE, grid } => Ok(grid),
            _ => Err(Self::mixed(node)),
        }
    }

    /// The distance of the classifier's positions, in dense positions.
    pub fn dilation(node: &Node, grid: &Grid) -> Result<[usize; 2]> {
        grid.dilation().ok_or_else(|| {
            Self::refuse(
                node,
                "a window over single positions behind a larger stride",
                "; choose a smaller stride",
            )
        })
    }

    /// The same for a kernel; a single position needs no dilation.
    pub fn dilation_for(node: &Node, grid: &Grid, kernel: [usize; 2]) -> Result<[usize; 2]> {
        if kernel == [1, 1] { Ok([1, 1]) } else { Self::dilation(node, grid) }
    }

    /// The error for a node without a dense form.
    pub fn refuse(node: &Node, what: &str, advice: &str) -> Error {
        Error::Unsupported { node: node.name.clone(), what: what.to_owned(), advice: advice.to_owned() }
    }

    /// The error for a node that mixes positions of the picture with something else.
    pub fn mixed(node: &Node) -> Error {
        Self::refuse(
            node,
            "an operation that mixes rows and columns with other dimensions in a dense form",
            PER_WINDOW,
        )
    }
}
