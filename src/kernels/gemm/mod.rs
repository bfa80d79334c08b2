//! Matrix products in registers: weights packed in panels, and the register tile.
//!
//! Every sum of the crate's direct kernels runs in the same order: a chain of fused multiply-adds
//! over [`DEPTH_CHUNK`] products, and the chunks' sums added one after the other. The numbers of
//! rows in a tile, of tiles, of panels in a pass and of threads do not affect it.

pub mod block;
pub mod panels;
pub mod tile;
pub mod weight;

pub use panels::{Columns, Panel, Panels};
pub use weight::{Weight, widen};

/// Products that are accumulated in one chain before the chain's sum is added to the total: no
/// slower than one long chain, and several times more accurate at depth 4,608.
pub const DEPTH_CHUNK: usize = 512;
