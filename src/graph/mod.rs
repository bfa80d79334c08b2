//! Networks as data: nodes with attributes and parameters, without sizes and kernels.
//!
//! A graph is built once per traced network ([`GraphBuilder`]), optimised by [`passes`], and then
//! compiled into one plan per input shape. [`infer`] gives every node's shape for given inputs.

use std::collections::HashSet;

use self::ops::operation::{Arity, Fusible};
use crate::tensor::Activation;

mod builder;
mod count;
pub mod dense;
mod display;
mod infer;
mod node;
pub mod ops;
pub mod passes;

pub use builder::GraphBuilder;
pub use count::multiply_adds;
pub use infer::infer_shapes;
pub use node::{Affine, Fused, Node, NodeId};
pub use ops::Op;

/// A network: nodes in topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every node follows the nodes it reads.
    pub nodes: Vec<Node>,
    /// The nodes that a run's inputs feed, in order; their op is [`Op::Input`].
    pub inputs: Vec<NodeId>,
    /// The nodes that a run returns, in order. A node may occur twice, or be an input.
    pub outputs: Vec<NodeId>,
}

impl Graph {
    /// How often each node's value is read: by nodes (twice by one that reads it twice), and by the
    /// graph's outputs. A pass may change a value only if its single use is the reader to be fused.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        for id in self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs) {
            uses[id.0] += 1;
        }
        uses
    }

    /// Checks the invariants documented at the graph's fields.
    ///
    /// # Errors
    /// A description of the first violation.
    pub fn validate(&self) -> Result<(), String> {
        let mut names = HashSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let name = &node.name;
            if !names.insert(name.as_str()) {
                return Err(format!("two nodes are named {name}"));
            }
            if let Some(late) = node.inputs.iter().find(|id| id.0 >= index) {
                return Err(format!("{name} (node {index}) reads node {}, which is not before it", late.0));
            }
            let residual = usize::from(node.fused.residual);
            let inputs = node.inputs.len();
            let rules = node.op.rules();
            let fits = match rules.arity() {
                Arity::Exactly(n) => inputs == n + residual,
                Arity::AtLeastOne => inputs > 0,
            };
            if !fits {
                return Err(format!("{name} reads {inputs} values"));
            }
            let roles = rules.roles();
            if node.params.len() != roles.len() {
                return Err(format!("{name} has {} parameters, not {}", node.params.len(), roles.len()));
            }
            if let Some(((role, _), _)) =
                roles.iter().zip(&node.params).find(|((_, required), param)| *required && param.is_none())
            {
                return Err(format!("{name} lacks its {role}"));
            }
            let fusible = rules.fusible();
            if fusible != Fusible::Epilogue && (node.fused.residual || node.fused.affine.is_some()) {
                return Err(format!("{name} has something fused into it and is no sum"));
            }
            if fusible == Fusible::Nothing && node.fused.activation != Activation::Identity {
                return Err(format!("{name} has an activation fused into it, which its kernels do not have"));
            }
            if matches!(node.op, Op::Input(_)) != self.inputs.contains(&NodeId(index)) {
                return Err(format!("{name} must be an input node and in the list of inputs, or neither"));
            }
        }
        if let Some(id) = self.inputs.iter().chain(&self.outputs).find(|id| id.0 >= self.nodes.len()) {
            return Err(format!("node {} is an input or output and does not exist", id.0));
        }
        if (1..self.inputs.len()).any(|i| self.inputs[..i].contains(&self.inputs[i])) {
            return Err("a node is an input twice".into());
        }
        Ok(())
    }
}
