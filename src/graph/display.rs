//! A graph as text, one node per line.

use std::fmt::{self, Display};

use super::{Graph, Node};
use crate::tensor::Activation;

impl Graph {
    /// The graph as text: for each node a line with its name, its operation and inputs, the
    /// operations fused into it, and the names of the nodes it covers.
    pub fn describe(&self) -> String {
        self.to_string()
    }
}

impl Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.nodes.len().to_string().len() + 1;
        let name = self.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0);
        for (index, node) in self.nodes.iter().enumerate() {
            let id = format!("%{index}");
            writeln!(f, "{id:<number$} {:<name$}  {}", node.name, Line(node))?;
        }
        write!(f, "return")?;
        self.outputs.iter().enumerate().try_for_each(|(i, id)| {
            let separator = if i == 0 { " " } else { ", " };
            write!(f, "{separator}%{}", id.0)
        })
    }
}

/// A node without its name.
struct Line<'a>(&'a Node);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.0;
        let own = node.inputs.len() - usize::from(node.fused.residual);
        let read: Vec<_> = node.inputs.iter().map(|id| format!("%{}", id.0)).collect();
        let rules = node.op.rules();
        let operands = rules.operands(&read[..own]);
        write!(f, "{}", rules.name())?;
        if !operands.is_empty() {
            write!(f, "({operands})")?;
        }
        for ((name, _), param) in rules.roles().iter().zip(&node.params) {
            if let Some(param) = param {
                write!(f, " {name} {}", param.shape())?;
            }
        }
        let mut attributes = String::new();
        rules.attributes(&mut attributes)?;
        f.write_str(&attributes)?;
        if let Some(affine) = &node.fused.affine {
            let parts =
                [affine.scale.is_some().then_some("scale"), affine.shift.is_some().then_some("shift")];
            write!(f, " | {}", parts.into_iter().flatten().collect::<Vec<_>>().join(" and "))?;
        }
        if node.fused.residual {
            write!(f, " | + {}", read[own..].join(" + "))?;
        }
        if node.fused.activation != Activation::Identity {
            let mut text = node.fused.activation.name().to_owned();
            node.fused.activation.write_attributes(&mut text)?;
            write!(f, " | {text}")?;
        }
        if !node.covers.is_empty() {
            write!(f, "  (covers {})", node.covers.join(", "))?;
        }
        Ok(())
    }
}
