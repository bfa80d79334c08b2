//! The weights' layout for register tiles: panels of output channels, with one row per product.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::tensor::{AlignedBuf, Element};

/// How the weights of a convolution (or of a plain product, with one group) are split into panels.
///
/// Each group's output channels are split into panels of [`Self::vectors`] vectors; the rest go
/// into a panel of fewer vectors, padded with zeros. A panel is `[depth][channels of the panel]`;
/// panels are contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Groups, each with its own panels.
    pub groups: usize,
    /// Output channels of a group.
    pub group_outputs: usize,
    /// Products in one sum.
    pub depth: usize,
    /// Elements in a vector.
    pub lanes: usize,
    /// Vectors of a full panel: [`Self::VECTORS`] if tiles read it.
    pub vectors: usize,
}

/// One panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Its offset in the packed weights.
    pub offset: usize,
    /// The group it belongs to.
    pub group: usize,
    /// Its first output channel, counted over all groups.
    pub channel: usize,
    /// Its output channels, without padding.
    pub channels: usize,
    /// Its width in vectors.
    pub vectors: usize,
}

/// The channels of a tile's columns.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// The first channel.
    pub channel: usize,
    /// Number of channels; columns after them are not stored.
    pub channels: usize,
}

impl Panel {
    /// The channels for the epilogue.
    #[inline]
    pub const fn columns(&self) -> Columns {
        Columns { channel: self.channel, channels: self.channels }
    }
}

impl Panels {
    /// Vectors of a full panel for tiles. With two, a tile uses each broadcast value for two
    /// products, and six rows of two accumulators fill sixteen registers.
    pub const VECTORS: usize = 2;

    /// Channels of a full panel.
    pub const fn width(&self) -> usize {
        self.vectors * self.lanes
    }

    /// Number of panels of one group.
    pub const fn per_group(&self) -> usize {
        self.group_outputs.div_ceil(self.width())
    }

    /// Number of panels of all groups.
    pub const fn count(&self) -> usize {
        self.groups * self.per_group()
    }

    /// Channels of a group, including the zeros that pad its last panel.
    const fn padded_outputs(&self) -> usize {
        self.group_outputs.next_multiple_of(self.lanes)
    }

    /// Elements of all panels.
    pub const fn len(&self) -> usize {
        self.groups * self.padded_outputs() * self.depth
    }

    /// Whether there are no weights.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `index`-th panel.
    #[inline]
    pub const fn panel(&self, index: usize) -> Panel {
        let (group, index) = (index / self.per_group(), index % self.per_group());
        let first = index * self.width();
        let rest = self.group_outputs - first;
        let channels = if rest < self.width() { rest } else { self.width() };
        Panel {
            offset: (group * self.padded_outputs() + first) * self.depth,
            group,
            channel: group * self.group_outputs + first,
            channels,
            vectors: channels.div_ceil(self.lanes),
        }
    }

    /// Elements of a panel, which is the distance to the next one.
    #[inline]
    pub const fn elements(&self, panel: Panel) -> usize {
        panel.vectors * self.lanes * self.depth
    }

    /// Fills `packed` (of [`Self::len`] zeros) with `value(channel, k)`, the k-th weight in the
    /// sums of an output channel (counted over all groups).
    pub fn pack_into(&self, packed: &mut [f32], mut value: impl FnMut(usize, usize) -> f32) {
        for panel in (0..self.count()).map(|i| self.panel(i)) {
            let width = panel.vectors * self.lanes;
            for (k, row) in packed[panel.offset..][..width * self.depth].chunks_exact_mut(width).enumerate() {
                for (i, to) in row[..panel.channels].iter_mut().enumerate() {
                    *to = value(panel.channel + i, k);
                }
            }
        }
    }

    /// Panels of convolution weights `[oc, inputs, taps]` with the sums in the order tap, input
    /// channel; `depth` is `taps * inputs`.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn pack_conv<T: Element>(&self, weights: &[T], taps: usize) -> Result<AlignedBuf<T>> {
        let mut packed = AlignedBuf::resident(self.len(), "packed weights")?;
        for panel in (0..self.count()).map(|i| self.panel(i)) {
            let to = &mut packed[panel.offset..][..self.elements(panel)];
            self.pack_panel(panel, &weights[self.range(panel)], to, taps);
        }
        Ok(packed)
    }

    /// As [`Self::pack_conv`], and discards the weights part by part if they are not shared: then
    /// both together need little more memory than one.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`], before anything is discarded.
    pub fn repack_conv<T: Element>(
        &self,
        weights: &mut Arc<AlignedBuf<T>>,
        taps: usize,
    ) -> Result<AlignedBuf<T>> {
        /// Elements that are discarded at a time.
        const PART: usize = 4 << 20;
        let Some(weights) = Arc::get_mut(weights) else { return self.pack_conv(weights, taps) };
        let mut packed = AlignedBuf::resident(self.len(), "packed weights")?;
        let mut kept = 0;
        for panel in (0..self.count()).map(|i| self.panel(i)) {
            let (from, to) = (self.range(panel), &mut packed[panel.offset..][..self.elements(panel)]);
            self.pack_panel(panel, &weights[from.clone()], to, taps);
            if from.end - kept >= PART {
                weights.discard(kept..from.end);
                kept = from.end;
            }
        }
        Ok(packed)
    }

    /// The weights `[oc, inputs, taps]` from which [`Self::pack_conv`] makes `packed`.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn unpack_conv<T: Element>(&self, packed: &[T], taps: usize) -> Result<AlignedBuf<T>> {
        let outputs = self.groups * self.group_outputs;
        let mut weights = AlignedBuf::zeroed(outputs * self.depth, "a parameter")?;
        let inputs = self.depth / taps;
        for panel in (0..self.count()).map(|i| self.panel(i)) {
            let width = panel.vectors * self.lanes;
            let from = &packed[panel.offset..][..self.elements(panel)];
            for (i, row) in weights[self.range(panel)].chunks_exact_mut(self.depth.max(1)).enumerate() {
                for (c, to) in row.chunks_exact_mut(taps).enumerate() {
                    for (tap, to) in to.iter_mut().enumerate() {
                        *to = from[(tap * inputs + c) * width + i];
                    }
                }
            }
        }
        Ok(weights)
    }

    /// Where a panel's weights are in torch's order.
    const fn range(&self, panel: Panel) -> Range<usize> {
        panel.channel * self.depth..(panel.channel + panel.channels) * self.depth
    }

    /// Pack one panel of weights `[channels, inputs, taps]`.
    fn pack_panel<T: Element>(&self, panel: Panel, from: &[T], to: &mut [T], taps: usize) {
        let inputs = self.depth / taps;
        let width = panel.vectors * self.lanes;
        // A wide panel is packed in parts, whose weights are less scattered.
        let part = Self::VECTORS * self.lanes;
        for (i, from) in from.chunks(part * self.depth).enumerate() {
            let channels = from.len() / self.depth;
            for c in 0..inputs {
                for tap in 0..taps {
                    let row = &mut to[(tap * inputs + c) * width + i * part..][..channels];
                    let column = from[c * taps + tap..].iter().step_by(self.depth);
                    row.iter_mut().zip(column).for_each(|(to, &from)| *to = from);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_is_where_its_panel_says() {
        for (groups, group_outputs, inputs, taps) in
            [(1, 40, 3, 4), (1, 8, 5, 1), (3, 9, 2, 9), (2, 33, 1, 1), (1, 1, 1, 1), (1, 31, 2, 2)]
        {
            for (lanes, vectors) in [(8, 2), (16, 2), (8, 3), (4, 7)] {
                let panels = Panels { groups, group_outputs, depth: inputs * taps, lanes, vectors };
                let outputs = groups * group_outputs;
                let weights: Vec<f32> = (0..outputs * inputs * taps).map(|i| i as f32 + 1.0).collect();
                let packed = panels.pack_conv(&weights, taps).unwrap();
                let mut seen = 0;
                let mut end = 0;
                for panel in (0..panels.count()).map(|i| panels.panel(i)) {
                    assert_eq!(panel.offset, end);
                    let width = panel.vectors * lanes;
                    end += width * panels.depth;
                    for k in 0..panels.depth {
                        let (tap, c) = (k / inputs, k % inputs);
                        for i in 0..width {
                            let found = packed[panel.offset + k * width + i];
                            if i >= panel.channels {
                                assert_eq!(found, 0.0);
                                continue;
                            }
                            assert_eq!(panel.channel / group_outputs, panel.group);
                            let oc = panel.channel + i;
                            assert_eq!(found, weights[(oc * inputs + c) * taps + tap]);
                            seen += 1;
                        }
                    }
                }
                assert_eq!(end, panels.len());
                assert_eq!(seen, weights.len());
                let mut same = vec![0.0; panels.len()];
                panels.pack_into(&mut same, |oc, k| weights[(oc * inputs + k % inputs) * taps + k / inputs]);
                assert_eq!(same, *packed);
                assert_eq!(panels.unpack_conv(&packed, taps).unwrap()[..], weights);
                let mut sole = Arc::new(AlignedBuf::from_slice(&weights, "test").unwrap());
                assert_eq!(panels.repack_conv(&mut sole, taps).unwrap()[..], *packed);
            }
        }
    }
}
