//! Plans: compiles a graph for input shapes to steps that run. The only module that uses both
//! graphs and kernels.
//!
//! [`Network`] holds a graph with its few cached [`Plan`]s, its pooled workspaces, and what the
//! environment says about kernels ([`settings`]). Making a plan ([`compile`]) infers shapes,
//! chooses the layout of values ([`layout`]) and the nodes to fuse ([`fuse`]), and lowers each of
//! these units to a view or to prepared kernels ([`lower`]). The state of lowering is the place of
//! each value ([`values`]), with rules about which layouts a kernel can write ([`writes`]) or read
//! as rows ([`row_views`]) and the descriptors of convolutions ([`geometry`]). At the end every
//! value gets its offset in one arena ([`memory`]). Running a plan resolves pointers and passes the
//! phases to the worker pool ([`exec`]), which [`profile`] times; [`peaks`] measures the machine's
//! peak rates.

mod compile;
mod describe;
mod exec;
mod fuse;
mod geometry;
mod layout;
mod lower;
mod memory;
mod network;
mod peaks;
mod profile;
mod row_views;
mod settings;
mod values;
mod weights;
mod writes;

pub use network::{Network, Workspaces};
pub use peaks::{multiply_adds_per_second, read_bytes_per_second};
pub use profile::{Profile, StepTime, Times};

use std::sync::Arc;

use crate::kernels::Kernel;
use crate::tensor::{AlignedBuf, Shape};

/// The memory of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Storage {
    /// The caller's array with this number.
    Input(usize),
    /// The returned array with this number.
    Output(usize),
    /// An area of the arena.
    Slot(usize),
    /// The parameter with this number.
    Constant(usize),
}

/// The location of a value's first element.
#[derive(Clone, Copy, Debug)]
struct Operand {
    storage: Storage,
    /// In elements from the storage's start.
    offset: usize,
}

/// The least work of a step, for any kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    /// Multiply-adds of a convolution or a matrix product by definition, else 0.
    macs: usize,
    /// Bytes of its operands, each value once: inputs, output, packed weights. For a convolution's
    /// input, only the part that its windows read.
    bytes: usize,
}

/// One kernel with its operands.
struct Step {
    /// The node's name.
    name: String,
    /// The name under which the node's operation was traced, before fusion.
    layer: String,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Operand>,
    output: Operand,
    output_shape: Shape,
    cost: Cost,
    /// The slot of the kernel's shared scratch.
    shared: Option<usize>,
}

/// A network for one input shape, instruction set and number of threads: immutable, so any number
/// of runs may use it concurrently.
pub struct Plan {
    steps: Vec<Step>,
    /// Step and phase of every phase of a run.
    phases: Vec<(usize, usize)>,
    /// Offset of each slot in the arena, in bytes.
    slots: Vec<usize>,
    /// Bytes of the arena.
    arena: usize,
    /// Bytes of scratch per worker.
    local: usize,
    /// Parameters that steps read unpacked.
    constants: Vec<Arc<AlignedBuf>>,
    threads: usize,
    inputs: Vec<Shape>,
    /// The input shapes for which the kernels were chosen.
    chosen_for: Vec<Shape>,
    outputs: Vec<Shape>,
}

impl Plan {
    /// The shapes that a run returns.
    pub fn outputs(&self) -> &[Shape] {
        &self.outputs
    }

    /// Bytes that one run needs besides weights, inputs and outputs.
    pub fn workspace_bytes(&self) -> usize {
        self.arena.saturating_add(self.threads.saturating_mul(self.local))
    }
}
