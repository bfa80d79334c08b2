//! Convolutions: one descriptor, an ordered list of candidates, the first that accepts and
//! prefers it wins.
//!
//! Linear layers are convolutions too: a matrix of rows is a map of 1x1 pixels, and a flattened
//! feature map followed by a linear layer is a convolution whose kernel is the whole map.

mod choice;
mod depthwise;
mod desc;
mod expand_depthwise;
mod finish;
mod gaxpy;
mod gemv;
mod grouped;
mod igemm;
mod im2col;
mod planes;
mod prologue;
mod runs;
mod stem;
mod winograd;

pub use choice::{candidates, choose};
pub use desc::{
    BlockPart, Candidate, ConvDesc, ConvPoolDesc, Padding, Prepare, PrepareWithPool, PrepareWithPrologue,
    Prologue,
};
pub use expand_depthwise::{ExpandDepthwiseDesc, ProjectDesc};
pub use prologue::PrologueDesc;

#[cfg(test)]
mod tests;
