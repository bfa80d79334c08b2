//! Shapes of values, by torch's rules.
//!
//! A node's attributes and parameters were checked when it was built; errors here depend on the
//! inputs' sizes.

use crate::error::{Error, Result};
use crate::tensor::Shape;

use super::Graph;

/// The shape of every node's value, in the order of the nodes, for inputs of these shapes.
///
/// # Errors
/// The first node that does not fit, by name.
pub fn infer_shapes(graph: &Graph, inputs: &[Shape]) -> Result<Vec<Shape>> {
    if inputs.len() != graph.inputs.len() {
        return Err(Error::Input {
            what: "graph".into(),
            expected: format!("{} input(s)", graph.inputs.len()),
            found: inputs.len().to_string(),
        });
    }
    let mut given = vec![None; graph.nodes.len()];
    for (id, shape) in graph.inputs.iter().zip(inputs) {
        given[id.0] = Some(*shape);
    }
    let mut shapes: Vec<Shape> = Vec::with_capacity(graph.nodes.len());
    let mut read = Vec::new();
    for (node, given) in graph.nodes.iter().zip(given) {
        read.clear();
        read.extend(node.inputs.iter().map(|id| shapes[id.0]));
        shapes.push(match given {
            Some(shape) => shape,
            None => node.shape(&read)?,
        });
    }
    Ok(shapes)
}
