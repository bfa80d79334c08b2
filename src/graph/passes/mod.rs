//! Optimisations of graphs that preserve their results.
//!
//! Each pass is one file and a pure function from graph to graph. Values that are graph outputs, or
//! are read more than once, are not changed.

mod dead_code;
mod drop_identity;
mod fold_batch_norm;
mod fold_scale;
mod fuse_activation;
mod fuse_add;
mod mean_before_linear;
mod rewrite;
mod split_residual;

pub use dead_code::dead_code;
pub use drop_identity::drop_identity;
pub use fold_batch_norm::fold_batch_norm;
pub use fold_scale::fold_scale;
pub use fuse_activation::fuse_activation;
pub use fuse_add::fuse_add;
pub use mean_before_linear::mean_before_linear;
pub use split_residual::split_broadcast_residuals;

use super::Graph;

/// A pass and its name.
pub type Pass = (&'static str, fn(&Graph) -> Graph);

/// The passes in order. Dead readers and identities would block fusion into a convolution, so they
/// are removed first; batch norm and scale come before the sum, the sum before the activation. A
/// mean after a layer is moved before it once scale and shift are folded into the layer; operations
/// after the mean may then be fused too. Finally, nodes fused into others are dead code.
pub const PASSES: [Pass; 10] = [
    ("dead_code", dead_code),
    ("drop_identity", drop_identity),
    ("fold_batch_norm", fold_batch_norm),
    ("fold_scale", fold_scale),
    ("mean_before_linear", mean_before_linear),
    ("fold_batch_norm", fold_batch_norm),
    ("fold_scale", fold_scale),
    ("fuse_add", fuse_add),
    ("fuse_activation", fuse_activation),
    ("dead_code", dead_code),
];

/// All passes.
///
/// # Panics
/// If a pass makes the graph invalid, which is a bug of the pass.
#[must_use]
pub fn optimize(mut graph: Graph) -> Graph {
    for (name, pass) in PASSES {
        graph = pass(&graph);
        if let Err(broken) = graph.validate() {
            panic!("pass {name}: {broken}");
        }
    }
    graph
}
