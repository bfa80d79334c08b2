//! Pointwise functions, named for graphs and kernels alike.

use std::fmt;

/// A pointwise function by torch's name.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// max(0, x)
    Relu,
    /// min(max(x, lo), hi): `ReLU6` is 0 to 6.
    Clamp {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// x where positive, else slope x
    LeakyRelu {
        /// Factor of the negative side.
        slope: f32,
    },
    /// x min(max(x + 3, 0), 6) / 6
    Hardswish,
    /// min(max(x + 3, 0), 6) / 6
    Hardsigmoid,
    /// tanh x
    Tanh,
    /// 1 / (1 + exp -x)
    Sigmoid,
    /// x sigmoid(x)
    Silu,
    /// x Phi(x), with the error function
    Gelu,
    /// Its approximation by tanh
    GeluTanh,
}

impl Activation {
    /// Torch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Clamp { .. } => "clamp",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Hardswish => "hardswish",
            Self::Hardsigmoid => "hardsigmoid",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
        }
    }

    /// Its parameters as text, with a space before each.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_attributes(self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Clamp { lo, hi } => write!(out, " {lo} to {hi}"),
            Self::LeakyRelu { slope } => write!(out, " slope {slope}"),
            _ => Ok(()),
        }
    }

    /// Whether it costs a few instructions, so that an epilogue applies it in registers.
    pub const fn is_cheap(self) -> bool {
        matches!(
            self,
            Self::Identity
                | Self::Relu
                | Self::Clamp { .. }
                | Self::LeakyRelu { .. }
                | Self::Hardswish
                | Self::Hardsigmoid
        )
    }
}
