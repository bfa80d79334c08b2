//! The list of operations.

use super::operation::{Operand, Operation};
use super::{
    AdaptiveAvgPool2d, AdaptiveMaxPool2d, Attention, AvgPool2d, BatchNorm, Binary, BinaryScalar, Concat,
    Constant, Conv2d, ConvTranspose2d, Expand, ExpandAs, Flatten, GroupNorm, Identity, Input, Interpolate,
    LayerNorm, Linear, LocalResponseNorm, MatMul, MaxPool2d, Mean, Normalize, PRelu, Pad, PadEdges, Permute,
    Reduce, Reshape, Roll, Slice, Softmax, Unflatten, Where,
};
use crate::tensor::{Activation, Order, Shape};

/// Generates the enum of operations, and the delegation to each operation's file, from one list.
macro_rules! operations {
    ($($operation:ident),* $(,)?) => {
        /// A node's operation: only attributes, no sizes. Names and definitions are torch's.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "the operations' own pages say what they are")]
        pub enum Op {
            $($operation($operation),)*
        }

        impl Op {
            /// All operations, by the names of the variants.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($operation)),*];

            /// torch's name, if torch has the operation: `conv2d`, `max_pool2d`, `relu`.
            pub fn name(&self) -> &'static str {
                self.rules().name()
            }

            /// The preferred order of the value's dimensions.
            pub fn order(&self, inputs: &[Operand], output: Shape) -> Order {
                self.rules().order(inputs, output)
            }

            /// The operation's rules.
            pub(in crate::graph) fn rules(&self) -> &dyn Operation {
                match self {
                    $(Self::$operation(operation) => operation,)*
                }
            }
        }

        $(impl From<$operation> for Op {
            fn from(operation: $operation) -> Self {
                Self::$operation(operation)
            }
        })*
    };
}

operations! {
    Input, Constant, Identity,
    Conv2d, ConvTranspose2d, Linear, MatMul, Attention,
    BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm, Normalize,
    Activation, PRelu, Softmax, Binary, BinaryScalar, Where,
    MaxPool2d, AvgPool2d, AdaptiveMaxPool2d, AdaptiveAvgPool2d, Interpolate, Mean, Reduce,
    Reshape, Flatten, Unflatten, Permute, Expand, ExpandAs, Slice, Concat, Pad, PadEdges, Roll,
}
