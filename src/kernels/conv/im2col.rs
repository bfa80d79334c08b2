//! Any convolution on any processor: rows of a matrix gathered from the input, then the matrix
//! product of the crate `matrixmultiply`, which has kernels for processors that ours do not
//! support.
//!
//! Each sum is computed in the order of the depth, for any size of the product. Where pictures are
//! single pixels (linear layers), the rows of all pictures are therefore one matrix, whose products
//! read the weights once rather than once per row.

use std::ops::Range;
use std::sync::Arc;

use super::desc::{Candidate, ConvDesc, FLOATS, Pack, pack_f32};
use super::runs::Pixel;
use crate::error::Result;
use crate::kernels::gemm::Columns;
use crate::kernels::names::names;
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::Isa;
use crate::tensor::{AlignedBuf, Form, Packed};

/// Floats of rows that are gathered at a time: 256 KiB, for the second-level cache.
const BLOCK: usize = 1 << 16;

/// The same where pictures are single pixels: a product packs its weights, which are more than
/// these rows.
const MATRIX_BLOCK: usize = 1 << 20;

/// The largest number of output pixels at a time: enough for the product to reuse the weights it
/// packs.
const MOST_ROWS: usize = 256;

/// Outputs of a chunk of a matrix, at least: each packs the rows again.
const LEAST_OUTPUTS: usize = 128;

/// This kernel, for every processor.
pub(super) const CANDIDATES: &[Candidate] = &[Candidate {
    name: NAME,
    isa: Isa::Portable,
    weights: FLOATS,
    accepts: |_| true,
    prefers: |_| true,
    form: |_| Form { name: "plain", params: [0; 4] },
    pack: Pack::Transform(|desc, weights| pack_f32(desc, weights, pack)),
    prepare,
    with_pool: None,
    with_prologue: None,
    block_part: None,
}];

const NAME: &str = names!(any: "im2col", "matrixmultiply");

/// The weights are not rearranged: `matrixmultiply` takes strides.
fn pack(_desc: &ConvDesc, weights: &[f32]) -> Result<AlignedBuf> {
    AlignedBuf::from_slice(weights, "packed weights")
}

#[expect(clippy::unnecessary_wraps, reason = "others of the list can fail: it is one signature")]
fn prepare(desc: &ConvDesc, weights: Packed, epilogue: Epilogue, threads: usize) -> Result<Box<dyn Kernel>> {
    let picture = desc.output.height * desc.output.width;
    let blocks_of =
        |rows: usize, block: usize| rows.div_ceil((block / desc.depth().max(1)).clamp(1, MOST_ROWS)).max(1);
    let is_matrix = picture == 1 && desc.groups == 1;
    let (rows, blocks, columns) = if is_matrix {
        let parts = desc.group_outputs() / LEAST_OUTPUTS;
        (desc.output.batch, blocks_of(desc.output.batch, MATRIX_BLOCK), chunks_for(parts, threads))
    } else {
        (picture, blocks_of(picture, BLOCK), 1)
    };
    let matrices = if is_matrix { 1 } else { desc.output.batch };
    let chunks = [matrices * blocks * columns];
    let weights = weights.into_f32();
    Ok(Box::new(Im2col { desc: *desc, weights, epilogue, rows, blocks, columns, chunks }))
}

struct Im2col {
    desc: ConvDesc,
    weights: Arc<AlignedBuf>,
    epilogue: Epilogue,
    /// Pixels that are cut into blocks: those of a picture, or of all pictures if they are a
    /// matrix.
    rows: usize,
    /// Blocks of these.
    blocks: usize,
    /// Parts of a group's outputs; each of them and a block are a chunk.
    columns: usize,
    chunks: [usize; 1],
}

impl Im2col {
    /// Pixels of the largest block.
    fn most_rows(&self) -> usize {
        self.rows.div_ceil(self.blocks)
    }

    /// The outputs of a part of a group.
    fn outputs(&self, part: usize) -> Range<usize> {
        even_range(self.desc.group_outputs(), self.columns, part)
    }

    /// Whether the product reads its rows in place.
    fn in_place(&self) -> bool {
        let desc = &self.desc;
        let single = desc.input.height == 1 && desc.input.width == 1;
        single && desc.is_pointwise() && desc.groups == 1 && desc.input.channels_last()
    }
}

impl Kernel for Im2col {
    fn name(&self) -> &'static str {
        NAME
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    fn scratch(&self) -> ScratchSize {
        let gathered = if self.in_place() { 0 } else { self.desc.depth() };
        let outputs = self.desc.group_outputs().div_ceil(self.columns);
        ScratchSize::floats(0, self.most_rows() * (gathered + outputs))
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let desc = &self.desc;
        let (depth, outputs) = (desc.depth(), self.outputs(chunk % self.columns));
        let (height, width) = (desc.output.height, desc.output.width);
        let chunk = chunk / self.columns;
        let pixels = even_range(self.rows, self.blocks, chunk % self.blocks);
        let rows = pixels.len();
        let first = Pixel::nth(chunk / self.blocks * self.rows + pixels.start, height, width);
        // SAFETY: the local scratch has room for `rows` sums and, unless the product reads the
        // input, as many gathered rows, the weights for `depth` of each output, and the maps are
        // the descriptor's.
        unsafe {
            let (gathered, sums): (*mut f32, *mut f32) = if self.in_place() {
                (std::ptr::null_mut(), scratch.local())
            } else {
                (scratch.local(), scratch.local::<f32>().add(self.most_rows() * depth))
            };
            for group in 0..desc.groups {
                let (matrix, stride) = if self.in_place() {
                    (io.inputs[0].add(desc.input.at(first.n, 0, 0)), desc.input.image_stride)
                } else {
                    let mut pixel = first;
                    for r in 0..rows {
                        gather(desc, group, pixel, io.inputs[0], gathered.add(r * depth));
                        pixel.advance(height, width);
                    }
                    (gathered.cast_const(), depth)
                };
                let channel = group * desc.group_outputs() + outputs.start;
                let weights = self.weights.as_ptr().add(channel * depth);
                let (k, m, n) = (depth as isize, stride as isize, outputs.len());
                matrixmultiply::sgemm(
                    rows, depth, n, 1.0, matrix, m, 1, weights, 1, k, 0.0, sums, n as isize, 1,
                );
                let mut pixel = first;
                for r in 0..rows {
                    self.store(channel, n, pixel, sums.add(r * n), io);
                    pixel.advance(height, width);
                }
            }
        }
    }
}

/// Gathers one row of the matrix: the inputs of an output pixel in a group, in the order of the
/// weights (channel, kernel row, kernel column).
///
/// # Safety
/// `input` is the descriptor's input; there is room for `desc.depth()` floats at `to`.
unsafe fn gather(desc: &ConvDesc, group: usize, pixel: Pixel, input: *const f32, mut to: *mut f32) {
    let map = &desc.input;
    let [kernel_h, kernel_w] = desc.kernel;
    // Negative positions wrap around and are larger than any size.
    let top = (pixel.y * desc.stride[0]).wrapping_sub(desc.padding.top);
    let left = (pixel.x * desc.stride[1]).wrapping_sub(desc.padding.left);
    for c in 0..desc.group_inputs() {
        let channel = (group * desc.group_inputs() + c) * map.channel_stride;
        for kh in 0..kernel_h {
            let y = top.wrapping_add(kh * desc.dilation[0]);
            for kw in 0..kernel_w {
                let x = left.wrapping_add(kw * desc.dilation[1]);
                let inside = y < map.height && x < map.width;
                // SAFETY: inside the picture; room by contract.
                unsafe {
                    *to = if inside { *input.add(map.at(pixel.n, y, x) + channel) } else { 0.0 };
                    to = to.add(1);
                }
            }
        }
    }
}

impl Im2col {
    /// Applies the epilogue to one pixel's sums and stores them.
    ///
    /// # Safety
    /// `sums` holds `outputs` channels from the `first` on, `io` is the run's.
    unsafe fn store(&self, first: usize, outputs: usize, pixel: Pixel, sums: *mut f32, io: &Io<'_>) {
        let desc = &self.desc;
        // SAFETY: by contract; the pixel is inside the maps.
        let (sums, to) = unsafe {
            let to = io.output.add(desc.output.at(pixel.n, pixel.y, pixel.x) + first);
            (std::slice::from_raw_parts_mut(sums, outputs), to)
        };
        if let Some(scale) = &self.epilogue.scale {
            sums.iter_mut().zip(&scale[first..]).for_each(|(sum, &scale)| *sum *= scale);
        }
        if let Some(shift) = &self.epilogue.shift {
            sums.iter_mut().zip(&shift[first..]).for_each(|(sum, &shift)| *sum += shift);
        }
        if let Some(map) = &desc.residual {
            let from = io.inputs[1].wrapping_add(map.at(pixel.n, pixel.y, pixel.x) + first);
            for (c, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a pixel of the residual has the output's channels.
                *sum += unsafe { *from.add(c) };
            }
        }
        let columns = Columns { channel: 0, channels: outputs };
        // SAFETY: a whole slice.
        unsafe { self.epilogue.activate_stored(Isa::Portable, columns, &[sums.as_mut_ptr()]) };
        // SAFETY: the pixel has these channels, and the sums are scratch.
        unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), to, outputs) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::Padding;
    use crate::kernels::run_alone;
    use crate::kernels::testing::uniform;
    use crate::tensor::{Activation, ElementType, FeatureMap, Values};

    const OUTPUTS: usize = 300;

    fn noise(len: usize, seed: u64) -> Vec<f32> {
        (0..len).map(|i| uniform(seed, i)).collect()
    }

    /// A linear layer on this many rows, after maps of `kernel` pixels.
    fn linear(rows: usize, kernel: [usize; 2], inputs: usize) -> ConvDesc {
        ConvDesc {
            input: FeatureMap::nhwc(rows, kernel[0], kernel[1], inputs),
            output: FeatureMap::nhwc(rows, 1, 1, OUTPUTS),
            residual: Some(FeatureMap::nhwc(rows, 1, 1, OUTPUTS)),
            kernel,
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::default(),
            groups: 1,
            weights: ElementType::F32,
            activation: Activation::Gelu,
        }
    }

    fn prepared(desc: &ConvDesc, weights: &[f32], threads: usize) -> Box<dyn Kernel> {
        let packed = CANDIDATES[0].pack_values(desc, Values::F32(weights)).unwrap();
        let epilogue = Epilogue::new(None, Some(&noise(OUTPUTS, 3)), desc.activation).unwrap();
        prepare(desc, packed, epilogue, threads).unwrap()
    }

    fn run(desc: &ConvDesc, weights: &[f32], threads: usize, input: &[f32], residual: &[f32]) -> Vec<f32> {
        let kernel = prepared(desc, weights, threads);
        let mut output = vec![f32::NAN; residual.len()];
        let io = Io { inputs: &[input.as_ptr(), residual.as_ptr()], output: output.as_mut_ptr() };
        // SAFETY: the arrays have the descriptor's sizes.
        unsafe { run_alone(&*kernel, &io) };
        output
    }

    #[test]
    fn rows_are_one_product_with_the_bits_of_each_row_alone() {
        for (kernel, inputs) in [([1, 1], 700), ([2, 3], 90)] {
            let rows = 197;
            let depth = kernel[0] * kernel[1] * inputs;
            let (weights, input) = (noise(OUTPUTS * depth, 1), noise(rows * depth, 2));
            let residual = noise(rows * OUTPUTS, 4);
            let one = run(&linear(rows, kernel, inputs), &weights, 1, &input, &residual);
            for threads in [2, 5] {
                let several = run(&linear(rows, kernel, inputs), &weights, threads, &input, &residual);
                assert_eq!(several, one, "{threads} threads");
            }
            for row in [0, 1, 100, 196] {
                let at = |size: usize| row * size..(row + 1) * size;
                let (input, residual) = (&input[at(depth)], &residual[at(OUTPUTS)]);
                let alone = run(&linear(1, kernel, inputs), &weights, 2, input, residual);
                assert_eq!(alone, one[at(OUTPUTS)], "row {row}");
            }
            assert_eq!(prepared(&linear(rows, kernel, inputs), &weights, 1).phases(), [1]);
        }
    }
}
