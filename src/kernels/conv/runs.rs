//! The inputs of a convolution's sums: for each output pixel some contiguous runs.

use crate::kernels::conv::desc::ConvDesc;

/// An output pixel's sum as runs of contiguous input floats, in the order of the packed weights.
///
/// A tap (one pixel under the kernel) is a run of its channels. Neighbouring taps are merged if
/// their pixels are adjacent in memory and no padding can be between them: a kernel row over a
/// dense map, a whole kernel that covers whole rows (a linear layer on a flattened map).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    /// Numbers of runs, vertically and horizontally.
    pub(super) taps: [usize; 2],
    /// Floats of each run that one sum uses.
    pub(super) run: usize,
    /// Floats of all groups in a run: the length of a run of padding.
    pub(super) reach: usize,
}

impl Runs {
    pub(super) fn of(desc: &ConvDesc) -> Self {
        debug_assert!(desc.input.channels_last());
        let mut runs = Self { taps: desc.kernel, run: desc.group_inputs(), reach: desc.input.channels };
        let input = &desc.input;
        // A single tap needs no neighbour, for any strides.
        let neighbours = |i: usize, stride: usize, dense: usize| {
            desc.kernel[i] == 1 || (desc.dilation[i] == 1 && stride == dense)
        };
        let columns_join =
            desc.groups == 1 && !desc.is_padded(1) && neighbours(1, input.pixel_stride, input.channels);
        if columns_join {
            runs.run *= desc.kernel[1];
            runs.taps[1] = 1;
            if !desc.is_padded(0) && neighbours(0, input.row_stride, runs.run) {
                runs.run *= desc.kernel[0];
                runs.taps[0] = 1;
            }
            runs.reach = runs.run;
        }
        runs
    }

    /// Number of runs of one sum.
    pub(super) fn count(&self) -> usize {
        self.taps[0] * self.taps[1]
    }
}

/// The pixels of an output map in the order picture, row, column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixel {
    pub(super) n: usize,
    pub(super) y: usize,
    pub(super) x: usize,
}

impl Pixel {
    /// The `index`-th pixel of a map of that size.
    #[inline]
    pub(super) fn nth(index: usize, height: usize, width: usize) -> Self {
        Self { n: index / (height * width), y: index / width % height, x: index % width }
    }

    /// The next one.
    #[inline]
    pub(super) fn advance(&mut self, height: usize, width: usize) {
        self.x += 1;
        if self.x == width {
            (self.x, self.y) = (0, self.y + 1);
            if self.y == height {
                (self.y, self.n) = (0, self.n + 1);
            }
        }
    }
}
