//! rvision runs image networks on a CPU: torchvision's models and PyTorch's weight files,
//! through a graph, a plan and hand-written kernels, with no PyTorch anywhere.
//!
//! # The way of the data
//!
//! ```text
//! Python   nn.Module tree ── trace ──▶ GraphBuilder          once per tree, rank and channels
//! Rust     Graph ─ passes ▶ Graph'                           batch norm, bias, add, activation into epilogues;
//!                                                            dropout, flatten, concat elided
//!          Graph' + input shape + CPU ─ infer shapes, choose kernels, plan memory ▶ Plan
//!          Plan.run(inputs) ▶ outputs                        one arena, GIL released, no Python inside
//! Kernel   isa.dispatch(body) ▶ one generic body over a SIMD token ▶ epilogue ▶ store
//! ```
//!
//! # Who may know whom
//!
//! ```text
//! error ◀ boxes
//! error ◀ tensor ◀ formats
//!         tensor ◀ simd ◀ kernels
//!         tensor ◀ graph                  (descriptors, no kernels)
//!         panics ◀ threads
//!         graph, kernels, threads ◀ plan
//!         plan, graph, formats, tensor, boxes, panics ◀ python
//! ```
//!
//! A test (`tests/rooms.rs`) reads the `use` lines and holds the crate to this picture.
//!
//! # Unsafe
//!
//! `unsafe` lives in [`simd`], [`kernels`], [`tensor`]'s buffers, [`threads`] and the executor's
//! one call site. A SIMD token proves that its processor features are there.

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
