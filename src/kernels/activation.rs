//! Activations, on a vector in registers or in place over finished rows.

use super::math::{abs, exp, gelu, gelu_tanh, sigmoid, silu, tanh, transcendental};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::Activation;

/// The cheap activations (see [`Activation::is_cheap`]) on a vector; the others are applied to a
/// finished tile, see [`activate_rows`].
#[inline(always)]
pub fn activate_cheap<S: Simd>(s: S, activation: Activation, x: S::F32) -> S::F32 {
    let hard = |x| s.min(s.splat(6.0), s.max(s.zero(), s.add(x, s.splat(3.0))));
    match activation {
        Activation::Relu => s.max(s.zero(), x),
        Activation::Clamp { lo, hi } => s.min(s.splat(hi), s.max(s.splat(lo), x)),
        Activation::LeakyRelu { slope } => s.select_gt(x, s.zero(), x, s.mul(x, s.splat(slope))),
        Activation::Hardsigmoid => s.mul(hard(x), s.splat(1.0 / 6.0)),
        Activation::Hardswish => s.mul(s.mul(x, hard(x)), s.splat(1.0 / 6.0)),
        _ => x,
    }
}

/// The factors of [`transcendental::elu`] for `SELU` (Klambauer et al. 2017).
const SELU: [f32; 3] = [1.050_701, 1.758_099_3, 1.0];

/// Any activation on a vector. Inside a loop the activation should be a constant, see
/// [`activate_rows`].
#[inline(always)]
pub fn apply_activation<S: Simd>(s: S, activation: Activation, x: S::F32) -> S::F32 {
    match activation {
        Activation::Tanh => tanh(s, x),
        Activation::Sigmoid => sigmoid(s, x),
        Activation::Silu => silu(s, x),
        Activation::Gelu => gelu(s, x),
        Activation::GeluTanh => gelu_tanh(s, x),
        Activation::Elu { alpha } => transcendental::elu(s, x, [1.0, alpha, 1.0]),
        Activation::Selu => transcendental::elu(s, x, SELU),
        Activation::Celu { alpha } => transcendental::elu(s, x, [1.0, alpha, 1.0 / alpha]),
        Activation::Mish => transcendental::mish(s, x),
        Activation::Softplus { beta, threshold } => transcendental::softplus(s, x, beta, threshold),
        Activation::Softsign => transcendental::softsign(s, x),
        Activation::Exp => exp(s, x),
        Activation::Log => transcendental::log(s, x),
        Activation::Sqrt => s.sqrt(x),
        Activation::Abs => abs(s, x),
        cheap => activate_cheap(s, cheap, x),
    }
}

/// Rows of floats in memory.
#[derive(Clone, Copy, Debug)]
pub enum StoredRows<'a> {
    /// Rows at these addresses plus `skip` floats.
    At {
        /// Addresses of the pixels.
        addresses: &'a [*mut f32],
        /// Offset of the first channel.
        skip: usize,
    },
    /// Rows at equal distances.
    Every {
        /// The first row.
        first: *mut f32,
        /// Floats from one row to the next.
        stride: usize,
        /// Number of rows.
        count: usize,
    },
}

impl StoredRows<'_> {
    #[inline(always)]
    fn count(&self) -> usize {
        match *self {
            Self::At { addresses, .. } => addresses.len(),
            Self::Every { count, .. } => count,
        }
    }

    #[inline(always)]
    fn row(&self, i: usize) -> *mut f32 {
        match *self {
            Self::At { addresses, skip } => addresses[i].wrapping_add(skip),
            Self::Every { first, stride, .. } => first.wrapping_add(i * stride),
        }
    }
}

/// Any activation in place over rows of `len` floats, such as a finished tile's. A value's result
/// does not depend on its position.
///
/// This dispatches to the instruction set again, so that its dozen loops are compiled once instead
/// of once per kernel. The dispatch costs as much as a few vectors, so pass many rows at once.
/// Their long, independent dependency chains also hide each other's latency.
///
/// # Safety
/// The rows must be valid for reading and writing `len` floats.
#[inline]
pub unsafe fn activate_rows(isa: Isa, rows: StoredRows<'_>, len: usize, activation: Activation) {
    if activation != Activation::Identity {
        isa.dispatch(ActivateRows { rows, len, activation });
    }
}

/// The arguments of [`activate_rows`], under its contract.
struct ActivateRows<'a> {
    rows: StoredRows<'a>,
    len: usize,
    activation: Activation,
}

impl Vectorized for ActivateRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { rows, len, activation } = self;
        // One loop per activation, in which it is a constant. SAFETY: the contract of
        // `activate_rows`.
        unsafe {
            match activation {
                Activation::Identity => {}
                Activation::Relu => map_rows(s, rows, len, Activation::Relu),
                Activation::Clamp { lo, hi } => map_rows(s, rows, len, Activation::Clamp { lo, hi }),
                Activation::LeakyRelu { slope } => map_rows(s, rows, len, Activation::LeakyRelu { slope }),
                Activation::Hardswish => map_rows(s, rows, len, Activation::Hardswish),
                Activation::Hardsigmoid => map_rows(s, rows, len, Activation::Hardsigmoid),
                Activation::Tanh => map_rows(s, rows, len, Activation::Tanh),
                Activation::Sigmoid => map_rows(s, rows, len, Activation::Sigmoid),
                Activation::Silu => map_rows(s, rows, len, Activation::Silu),
                Activation::Gelu => map_rows(s, rows, len, Activation::Gelu),
                Activation::GeluTanh => map_rows(s, rows, len, Activation::GeluTanh),
                Activation::Elu { alpha } => map_rows(s, rows, len, Activation::Elu { alpha }),
                Activation::Selu => map_rows(s, rows, len, Activation::Selu),
                Activation::Celu { alpha } => map_rows(s, rows, len, Activation::Celu { alpha }),
                Activation::Mish => map_rows(s, rows, len, Activation::Mish),
                Activation::Softplus { beta, threshold } => {
                    map_rows(s, rows, len, Activation::Softplus { beta, threshold });
                }
                Activation::Softsign => map_rows(s, rows, len, Activation::Softsign),
                Activation::Exp => map_rows(s, rows, len, Activation::Exp),
                Activation::Log => map_rows(s, rows, len, Activation::Log),
                Activation::Sqrt => map_rows(s, rows, len, Activation::Sqrt),
                Activation::Abs => map_rows(s, rows, len, Activation::Abs),
            }
        }
    }
}

/// # Safety
/// The rows must be valid for reading and writing `len` floats.
#[inline(always)]
unsafe fn map_rows<S: Simd>(s: S, rows: StoredRows<'_>, len: usize, activation: Activation) {
    for i in 0..rows.count() {
        let row = rows.row(i);
        let mut at = 0;
        while at < len {
            let n = S::LANES.min(len - at);
            // SAFETY: n floats remain from here. One body serves full vectors and the rest: its
            // arithmetic is long, its loads and stores are not.
            unsafe {
                let to = row.add(at);
                let x = if n == S::LANES { s.load(to) } else { s.load_partial(to, n) };
                let y = apply_activation(s, activation, x);
                if n == S::LANES { s.store(to, y) } else { s.store_partial(to, y, n) }
            }
            at += n;
        }
    }
}
