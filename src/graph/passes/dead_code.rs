use crate::graph::Graph;

use super::rewrite::Rewrite;

/// Drops nodes that no output needs. The graph's inputs stay: a run passes all of them.
#[must_use]
pub fn dead_code(graph: &Graph) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    for id in graph.outputs.iter().chain(&graph.inputs) {
        needed[id.0] = true;
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if needed[index] {
            node.inputs.iter().for_each(|id| needed[id.0] = true);
        }
    }
    let mut new = Rewrite::new(graph);
    for (node, needed) in graph.nodes.iter().zip(needed) {
        if needed { new.keep(node.clone()) } else { new.leave_out() }
    }
    new.finish()
}
