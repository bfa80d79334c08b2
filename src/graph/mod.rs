//! Networks as data: nodes with attributes and parameters, no sizes and no kernels.
//!
//! A graph is built once per traced network ([`GraphBuilder`]), improved by [`passes`], and then
//! compiled into a plan per input shape. [`infer`] gives every node's shape for given inputs.

mod builder;
mod display;
mod infer;
mod op;
pub mod passes;

pub use builder::GraphBuilder;
pub use infer::infer_shapes;
pub use op::{Affine, Binary, Conv2d, ConvPadding, Fused, Node, NodeId, Op, Window};

/// A network: nodes in topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every node stands behind what it reads.
    pub nodes: Vec<Node>,
    /// The nodes that a run's inputs feed, in order; their op is [`Op::Input`].
    pub inputs: Vec<NodeId>,
    /// The nodes that a run returns, in order. A node may stand here twice, or be an input.
    pub outputs: Vec<NodeId>,
}
