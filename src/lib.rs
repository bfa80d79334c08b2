//! rvision runs image networks on a CPU: torchvision's models and PyTorch's weight files, executed
//! through a graph, a plan and hand-written kernels, without PyTorch.
//!
//! # Data flow
//!
//! ```text
//! Python   nn.Module tree ── trace ──▶ GraphBuilder          once per tree, rank and channels
//! Rust     Graph ─ passes ▶ Graph'                           batch norm, bias, scale, add,
//!                                                            activation into epilogues;
//!                                                            dropout, flatten, concat elided
//!          Graph' + input shape + CPU ─ infer shapes, choose kernels, plan memory ▶ Plan
//!          Plan.run(inputs) ▶ outputs                        one arena, GIL released, no Python inside
//! Kernel   isa.dispatch(body) ▶ one generic body over a SIMD token ▶ epilogue ▶ store
//! ```
//!
//! # Modules and their dependencies
//!
//! Each module may use the modules listed after it:
//!
//! ```text
//! error     tensor
//! panics
//! boxes     error
//! tensor    error
//! formats   error, tensor
//! simd      error
//! threads   error, panics
//! kernels   error, tensor, simd
//! graph     error, tensor
//! plan      error, tensor, simd, threads, kernels, graph
//! python    error, panics, boxes, tensor, formats, simd, threads, graph, plan
//! ```
//!
//! Only `plan` sees both graphs and kernels. A test (`tests/rooms.rs`) parses the `use` lines and
//! checks the crate against this table, and that no two files use each other.
//!
//! # Unsafe
//!
//! `unsafe` is confined to [`simd`], [`kernels`], [`threads`], the buffers of [`tensor`] and their
//! memory, and one call site in the executor of [`plan`]. A SIMD token proves that the processor
//! has the features it needs.

pub mod boxes;
pub mod error;
pub mod formats;
pub mod graph;
pub mod kernels;
pub mod panics;
pub mod plan;
pub mod simd;
pub mod tensor;
pub mod threads;

#[cfg(feature = "python")]
mod python;

pub use error::{Error, Result};
