//! Pointwise functions, named for graphs and kernels alike.

use std::fmt::{self, Write};

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
    /// x where positive, else alpha (exp x - 1)
    Elu {
        /// Factor of the negative side.
        alpha: f32,
    },
    /// `Elu` with alpha and a factor that keep mean 0 and variance 1
    Selu,
    /// x where positive, else alpha (exp(x / alpha) - 1)
    Celu {
        /// Factor of the negative side, and divisor of x there.
        alpha: f32,
    },
    /// x tanh(log(1 + exp x))
    Mish,
    /// x where beta x is above the threshold, else log(1 + exp(beta x)) / beta
    Softplus {
        /// Factor of x.
        beta: f32,
        /// Where the line begins.
        threshold: f32,
    },
    /// x / (1 + |x|)
    Softsign,
    /// exp x
    Exp,
    /// The natural logarithm
    Log,
    /// The square root
    Sqrt,
    /// |x|
    Abs,
}

impl Activation {
    /// Whether it costs only a few instructions, so that an epilogue can apply it in registers.
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

    /// Torch's name, such as `leaky_relu`.
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
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Celu { .. } => "celu",
            Self::Mish => "mish",
            Self::Softplus { .. } => "softplus",
            Self::Softsign => "softsign",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sqrt => "sqrt",
            Self::Abs => "abs",
        }
    }

    /// Appends the attributes as text, each with a space before it: ` slope 0.1`.
    ///
    /// # Errors
    /// Never: a string takes any text.
    pub fn write_attributes(self, out: &mut String) -> fmt::Result {
        match self {
            Self::Clamp { lo, hi } => write!(out, " {lo} to {hi}"),
            Self::LeakyRelu { slope } => write!(out, " slope {slope}"),
            Self::Elu { alpha } | Self::Celu { alpha } => write!(out, " alpha {alpha}"),
            Self::Softplus { beta, threshold } => write!(out, " beta {beta} threshold {threshold}"),
            _ => Ok(()),
        }
    }
}
