//! What happens to a sum between the registers and the store: scale, bias, residual, activation.

use std::sync::Arc;

use crate::error::Result;
use crate::simd::Simd;
use crate::tensor::{Activation, AlignedBuf};

/// Per-channel vectors are padded to a multiple of this, so that tails load whole vectors.
const CHANNEL_PADDING: usize = 64;

/// `y = activation(scale[c] * sum + shift[c] + residual)`, applied in registers before the store.
///
/// Batch norm after a convolution is its scale and shift, a bias alone is a shift. The residual's
/// layout is in the convolution's descriptor.
#[derive(Clone, Debug, Default)]
pub struct Epilogue {
    /// Per output channel, padded with zeros to a multiple of 64.
    pub scale: Option<Arc<AlignedBuf>>,
    /// Per output channel, padded with zeros to a multiple of 64.
    pub shift: Option<Arc<AlignedBuf>>,
    /// After the sum, the shift and the residual.
    pub activation: Activation,
}

impl Epilogue {
    /// An epilogue with these vectors (one value per output channel).
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn new(scale: Option<&[f32]>, shift: Option<&[f32]>, activation: Activation) -> Result<Self> {
        let padded = |v: &[f32]| -> Result<Arc<AlignedBuf>> {
            let mut buf = AlignedBuf::zeroed(v.len().next_multiple_of(CHANNEL_PADDING), "an epilogue")?;
            buf[..v.len()].copy_from_slice(v);
            Ok(Arc::new(buf))
        };
        Ok(Self { scale: scale.map(padded).transpose()?, shift: shift.map(padded).transpose()?, activation })
    }

    /// Scale and shift of the vector of channels that starts at channel `c`.
    #[inline(always)]
    pub fn affine<S: Simd>(&self, s: S, sum: S::F32, c: usize) -> S::F32 {
        let at = |buf: &AlignedBuf| {
            debug_assert!(c + S::LANES <= buf.len());
            // SAFETY: the buffers are padded beyond the last channel's vector.
            unsafe { s.load(buf.as_ptr().add(c)) }
        };
        match (&self.scale, &self.shift) {
            (Some(scale), Some(shift)) => s.fma(sum, at(scale), at(shift)),
            (Some(scale), None) => s.mul(sum, at(scale)),
            (None, Some(shift)) => s.add(sum, at(shift)),
            (None, None) => sum,
        }
    }
}

/// The cheap activations (see [`Activation::is_cheap`]) on a vector; the others are left to
/// `kernels::math`, over a finished tile.
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
