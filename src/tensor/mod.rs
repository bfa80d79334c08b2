//! Shapes, strided views and aligned buffers: the vocabulary of every other room.

mod activation;
mod buffer;
mod memory;
mod param;
mod shape;
mod view;

pub use activation::Activation;
pub use buffer::{AlignedBuf, Element};
pub use param::{Form, Packed, Param, Values};
pub use shape::{MAX_RANK, Shape};
pub use view::{FeatureMap, View};
