//! The operations of a graph: one file each, with all that a graph knows of it.
//!
//! An operation's file holds its attributes, their checks, the shape rule, what it costs, how it is
//! written as text, in which order its result lies best, and how it behaves when a classifier becomes a
//! dense predictor ([`operation::Operation`]). [`op`] lists them.

mod activation;
mod adaptive_avg_pool2d;
mod adaptive_max_pool2d;
mod attention;
mod avg_pool2d;
mod batch_norm;
mod binary;
mod binary_scalar;
mod concat;
mod constant;
pub(super) mod context;
mod conv2d;
pub(super) mod dense_form;
mod expand;
mod expand_as;
mod flatten;
mod identity;
mod input;
mod layer_norm;
mod linear;
mod local_response_norm;
mod matmul;
mod max_pool2d;
mod mean;
mod normalize;
mod op;
pub(super) mod operation;
mod pad;
mod permute;
mod prelu;
mod reshape;
mod roll;
mod sizes;
mod slice;
mod softmax;
mod text;
mod unflatten;
mod window;

pub use adaptive_avg_pool2d::AdaptiveAvgPool2d;
pub use adaptive_max_pool2d::AdaptiveMaxPool2d;
pub use attention::Attention;
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::BatchNorm;
pub use binary::Binary;
pub use binary_scalar::BinaryScalar;
pub use concat::Concat;
pub use constant::Constant;
pub use conv2d::{Conv2d, ConvPadding, conv_geometry};
pub use expand::Expand;
pub use expand_as::ExpandAs;
pub use flatten::Flatten;
pub use identity::Identity;
pub use input::Input;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use matmul::MatMul;
pub use max_pool2d::MaxPool2d;
pub use mean::Mean;
pub use normalize::Normalize;
pub use op::Op;
pub use operation::Operand;
pub use pad::Pad;
pub use permute::Permute;
pub use prelu::PRelu;
pub use reshape::Reshape;
pub use roll::Roll;
pub use sizes::kept;
pub use slice::Slice;
pub use softmax::Softmax;
pub use unflatten::Unflatten;
pub use window::{Window, pool_geometry};
