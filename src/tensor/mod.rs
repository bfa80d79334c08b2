//! Shapes, strided views, aligned buffers and parameters: the basic types of all other modules.

mod activation;
mod binary;
mod buffer;
mod edges;
mod element_type;
mod machine;
mod memory;
mod order;
mod param;
mod reduce;
mod resize;
mod shape;
mod view;

pub use activation::Activation;
pub use binary::BinaryOp;
pub use buffer::{AlignedBuf, Element, reserved};
pub use edges::EdgeMode;
pub use element_type::ElementType;
pub use machine::check_room;
pub use order::Order;
pub use param::{Floats, Form, Packed, Param, Part, Values};
pub use reduce::ReduceOp;
pub use resize::ResizeMode;
pub use shape::{MAX_RANK, Shape};
pub use view::{FeatureMap, View};
