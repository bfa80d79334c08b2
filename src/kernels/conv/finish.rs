//! The epilogue for kernels with little work per output: no branches per vector.

use crate::error::Result;
use crate::kernels::Epilogue;
use crate::kernels::activation::{StoredRows, activate_rows};
use crate::simd::{Isa, MOST_LANES, Simd};
use crate::tensor::{Activation, AlignedBuf};

/// Scale and shift for every channel, padded by a vector, and the activation: as bounds if it is a
/// clamp, else as a pass over the finished channels.
pub(super) struct Finish {
    scale: AlignedBuf,
    shift: AlignedBuf,
    lo: f32,
    hi: f32,
    rest: Activation,
}

impl Finish {
    /// The epilogue for `channels` channels.
    pub(super) fn new(epilogue: &Epilogue, channels: usize) -> Result<Self> {
        let vector = |values: Option<&AlignedBuf>, default: f32| -> Result<AlignedBuf> {
            let mut vector = AlignedBuf::resident(channels + MOST_LANES, "an epilogue")?;
            match values {
                Some(values) => vector[..channels].copy_from_slice(&values[..channels]),
                None => vector.fill(default),
            }
            Ok(vector)
        };
        let (lo, hi, rest) = match epilogue.activation {
            Activation::Relu => (0.0, f32::INFINITY, Activation::Identity),
            Activation::Clamp { lo, hi } => (lo, hi, Activation::Identity),
            rest => (f32::NEG_INFINITY, f32::INFINITY, rest),
        };
        let (scale, shift) = (epilogue.scale.as_deref(), epilogue.shift.as_deref());
        Ok(Self { scale: vector(scale, 1.0)?, shift: vector(shift, 0.0)?, lo, hi, rest })
    }

    /// Scale and shift (`scale * sum + shift`) of the vector that starts at channel `c`.
    #[inline(always)]
    pub(super) fn vectors<S: Simd>(&self, s: S, c: usize) -> [S::F32; 2] {
        debug_assert!(c + S::LANES <= self.scale.len());
        // SAFETY: both are padded by a vector.
        unsafe { [s.load(self.scale.as_ptr().add(c)), s.load(self.shift.as_ptr().add(c))] }
    }

    /// Clamps a value to the activation's bounds; NaN stays NaN.
    #[inline(always)]
    pub(super) fn bounded<S: Simd>(&self, s: S, value: S::F32) -> S::F32 {
        s.min(s.splat(self.hi), s.max(s.splat(self.lo), value))
    }

    /// Whether [`Self::rest`] has any work to do.
    #[inline(always)]
    pub(super) fn has_rest(&self) -> bool {
        self.rest != Activation::Identity
    }

    /// Applies the rest of the activation to rows of `len` finished channels.
    ///
    /// # Safety
    /// The rows must be valid for reading and writing `len` floats.
    #[inline(always)]
    pub(super) unsafe fn rest(&self, isa: Isa, rows: StoredRows<'_>, len: usize) {
        // SAFETY: the caller's contract.
        unsafe { activate_rows(isa, rows, len, self.rest) }
    }
}
