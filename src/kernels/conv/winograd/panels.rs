//! The transformed weights: for each panel of output channels, one matrix per product.

use std::sync::Arc;

use super::transforms::{Algorithm, MAX_TAPS, taps, weights_2d};
use crate::error::Result;
use crate::kernels::conv::desc::ConvDesc;
use crate::kernels::gemm::{Panel, Panels};
use crate::tensor::{AlignedBuf, Packed};

/// Transformed weights in the order panel, product, input channel, output channel of the panel: all
/// products of a panel are contiguous because they are read together.
#[derive(Debug)]
pub struct TransformedWeights {
    values: Arc<AlignedBuf>,
    /// How one product's matrix is split.
    pub panels: Panels,
    /// Products of a tile, 6 to 64.
    pub products: usize,
}

impl TransformedWeights {
    /// Weights made by [`pack`].
    pub fn new(values: Packed, desc: &ConvDesc, products: usize, lanes: usize) -> Self {
        let panels = panels(desc, lanes);
        let values = values.into_f32();
        assert_eq!(values.len(), products * panels.len(), "transformed weights of {panels:?}");
        Self { values, panels, products }
    }

    /// The matrix of a panel for one product.
    #[inline]
    pub fn matrix(&self, panel: &Panel, product: usize) -> *const f32 {
        let len = self.panels.depth * panel.vectors * self.panels.lanes;
        self.values[self.products * panel.offset + product * len..][..len].as_ptr()
    }

    /// Their size in bytes.
    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

fn panels(desc: &ConvDesc, lanes: usize) -> Panels {
    Panels {
        groups: 1,
        group_outputs: desc.output.channels,
        depth: desc.input.channels,
        lanes,
        vectors: Panels::VECTORS,
    }
}

/// Transforms weights in torch's order `[oc, ic, rows, columns]` in f64, and packs them into
/// panels.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn pack<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
    const LANES: usize,
>(
    desc: &ConvDesc,
    weights: &[f32],
) -> Result<AlignedBuf> {
    let panels = panels(desc, LANES);
    let depth = panels.depth;
    let size = taps::<V, AV, MV>() * taps::<H, AH, MH>();
    let mut packed = AlignedBuf::resident(AV * AH * panels.len(), "transformed weights")?;
    let mut transformed = [[[0.0; LANES]; AH]; AV];
    for panel in (0..panels.count()).map(|i| panels.panel(i)) {
        let width = panel.vectors * LANES;
        let matrices = &mut packed[AV * AH * panel.offset..];
        for column in (0..panel.channels).step_by(LANES) {
            let channels = LANES.min(panel.channels - column);
            let mut filters = [[0.0; LANES]; MAX_TAPS * MAX_TAPS];
            let filters = &mut filters[..size];
            for k in 0..depth {
                for lane in 0..channels {
                    let filter = &weights[((panel.channel + column + lane) * depth + k) * size..][..size];
                    for (tap, &weight) in filters.iter_mut().zip(filter) {
                        tap[lane] = f64::from(weight);
                    }
                }
                weights_2d::<V, H, AV, MV, AH, MH, LANES>(filters, &mut transformed);
                for (product, values) in transformed.as_flattened().iter().enumerate() {
                    let row = &mut matrices[(product * depth + k) * width + column..][..LANES];
                    for (to, &value) in row.iter_mut().zip(values) {
                        *to = value as f32;
                    }
                }
            }
        }
    }
    Ok(packed)
}
