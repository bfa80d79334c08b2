//! The epilogue, applied to sums in registers before the store: scale, bias, residual, activation.

use std::sync::Arc;

use super::activation::{StoredRows, activate_rows};
use super::gemm::Columns;
use super::gemm::tile::Tile;
use crate::error::Result;
use crate::simd::{Isa, MOST_LANES, Simd};
use crate::tensor::{Activation, AlignedBuf};

/// Zeros after the last channel of per-channel vectors: two of the widest vectors can be loaded
/// from any channel.
const CHANNEL_PADDING: usize = 2 * MOST_LANES;

/// `y = activation(scale[c] * sum + shift[c] + residual)`, applied in registers before the store.
///
/// Batch norm after a convolution is its scale and shift, a bias alone is a shift. The residual's
/// layout is in the convolution's descriptor.
#[derive(Clone, Debug, Default)]
pub struct Epilogue {
    /// Per output channel, with zeros after the last: two of the widest vectors.
    pub scale: Option<Arc<AlignedBuf>>,
    /// Per output channel, with zeros after the last: two of the widest vectors.
    pub shift: Option<Arc<AlignedBuf>>,
    /// Applied after the scale, the shift and the residual.
    pub activation: Activation,
}

impl Epilogue {
    /// An epilogue with these vectors (one value per output channel).
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn new(scale: Option<&[f32]>, shift: Option<&[f32]>, activation: Activation) -> Result<Self> {
        let padded = |v: &[f32]| -> Result<Arc<AlignedBuf>> {
            let mut buf = AlignedBuf::resident(v.len() + CHANNEL_PADDING, "an epilogue")?;
            buf[..v.len()].copy_from_slice(v);
            Ok(Arc::new(buf))
        };
        Ok(Self { scale: scale.map(padded).transpose()?, shift: shift.map(padded).transpose()?, activation })
    }

    /// Scale and shift of the vector of channels that starts at channel `c`.
    #[inline(always)]
    pub fn affine<S: Simd>(&self, s: S, sum: S::F32, c: usize) -> S::F32 {
        match (&self.scale, &self.shift) {
            (Some(scale), Some(shift)) => s.fma(sum, channels(s, scale, c), channels(s, shift, c)),
            (Some(scale), None) => s.mul(sum, channels(s, scale, c)),
            (None, Some(shift)) => s.add(sum, channels(s, shift, c)),
            (None, None) => sum,
        }
    }

    /// Whether [`Self::store_tile`] applies the activation. Activations other than a clamp would be
    /// compiled into every tile; they are applied to the stored tile, while it is in the
    /// first-level cache.
    pub fn is_finished_by_store(&self) -> bool {
        matches!(self.activation, Activation::Identity | Activation::Relu | Activation::Clamp { .. })
    }

    /// Applies the epilogue to a tile of sums, one row per pixel, whose vectors begin at
    /// `columns.channel`, and stores it. Unless [`Self::is_finished_by_store`],
    /// [`Self::activate_stored`] must follow.
    ///
    /// # Safety
    /// Each pointer of `to` and `residual` is the address of channel 0 of a pixel, even if only the
    /// columns' channels exist; these are valid for writing and reading.
    #[inline(always)]
    pub unsafe fn store_tile<S: Simd, const ROWS: usize, const NV: usize>(
        &self,
        s: S,
        tile: Tile<S, ROWS, NV>,
        columns: Columns,
        to: [*mut f32; ROWS],
        residual: Option<[*const f32; ROWS]>,
    ) {
        // Options select operands here instead of code in the whole tile: a branch there costs more
        // than multiplying by one.
        let Columns { channel, channels: count } = columns;
        // SAFETY: the tile's channels are the epilogue's.
        let (scale, shift) = unsafe {
            (
                operand::<S, NV>(s, self.scale.as_ref(), channel, 1.0),
                operand::<S, NV>(s, self.shift.as_ref(), channel, 0.0),
            )
        };
        let (lo, hi) = match self.activation {
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Clamp { lo, hi } => (lo, hi),
            _ => (f32::NEG_INFINITY, f32::INFINITY),
        };
        let (lo, hi) = (s.splat(lo), s.splat(hi));
        let whole = count == NV * S::LANES;
        for (r, row) in tile.into_iter().enumerate() {
            for (v, sum) in row.into_iter().enumerate() {
                let at = channel + v * S::LANES;
                // Floats of this vector, if the tile is partial.
                let part = count.saturating_sub(v * S::LANES).min(S::LANES);
                let mut x = s.fma(sum, scale[v], shift[v]);
                // SAFETY: within the pixels' channels, by contract.
                unsafe {
                    if let Some(residual) = &residual {
                        let from = residual[r].wrapping_add(at);
                        x = s.add(x, if whole { s.load(from) } else { s.load_partial(from, part) });
                    }
                    x = s.min(hi, s.max(lo, x));
                    let to = to[r].wrapping_add(at);
                    if whole { s.store(to, x) } else { s.store_partial(to, x, part) }
                }
            }
        }
    }
}

impl Epilogue {
    /// Applies the activation to some columns of stored pixels, whose addresses are `to`.
    ///
    /// # Safety
    /// As [`Self::store_tile`].
    pub unsafe fn activate_stored(&self, isa: Isa, columns: Columns, to: &[*mut f32]) {
        let rows = StoredRows::At { addresses: to, skip: columns.channel };
        // SAFETY: within the pixels' channels, by contract.
        unsafe { activate_rows(isa, rows, columns.channels, self.activation) };
    }
}

/// The vectors from channel `c` of a padded per-channel buffer, or `neutral` without a buffer.
///
/// # Safety
/// `c` is a channel of the buffer.
#[inline(always)]
unsafe fn operand<S: Simd, const NV: usize>(
    s: S,
    buf: Option<&Arc<AlignedBuf>>,
    c: usize,
    neutral: f32,
) -> [S::F32; NV] {
    let mut vectors = [s.splat(neutral); NV];
    if let Some(buf) = buf {
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = channels(s, buf, c + v * S::LANES);
        }
    }
    vectors
}

/// The vector at channel `c` of a padded per-channel buffer.
#[inline(always)]
fn channels<S: Simd>(s: S, buf: &AlignedBuf, c: usize) -> S::F32 {
    debug_assert!(c + S::LANES <= buf.len());
    // SAFETY: the buffers are padded beyond the last channel's vector.
    unsafe { s.load(buf.as_ptr().add(c)) }
}
