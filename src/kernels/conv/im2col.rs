//! Any convolution on any processor: rows of a matrix gathered from the input, then the matrix
//! product of the crate `matrixmultiply`, which has kernels for processors that ours do not
//! support.

use std::sync::Arc;

use super::desc::{Candidate, ConvDesc, Pack, pack_f32};
use super::runs::Pixel;
use crate::error::Result;
use crate::kernels::gemm::Columns;
use crate::kernels::names::names;
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, even_range};
use crate::simd::Isa;
use crate::tensor::{AlignedBuf, Form, Packed};

/// Floats of rows that are gathered at a time: 256 KiB, for the second-level cache.
const BLOCK: usize = 1 << 16;

/// The largest number of output pixels at a time: enough for the product to reuse the weights it
/// packs.
const MOST_ROWS: usize = 256;

/// This kernel, for every processor.
pub(super) const CANDIDATES: &[Candidate] = &[Candidate {
    name: NAME,
    isa: Isa::Portable,
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
fn prepare(desc: &ConvDesc, weights: Packed, epilogue: Epilogue, _threads: usize) -> Result<Box<dyn Kernel>> {
    let pixels = desc.output.height * desc.output.width;
    let blocks = pixels.div_ceil((BLOCK / desc.depth().max(1)).clamp(1, MOST_ROWS));
    let chunks = [desc.output.batch * blocks];
    let weights = weights.into_f32();
    Ok(Box::new(Im2col { desc: *desc, weights, epilogue, blocks, chunks }))
}

struct Im2col {
    desc: ConvDesc,
    weights: Arc<AlignedBuf>,
    epilogue: Epilogue,
    /// Pixel blocks of a picture, each a chunk. They depend only on its shape.
    blocks: usize,
    chunks: [usize; 1],
}

impl Im2col {
    /// Pixels of the largest block.
    fn rows(&self) -> usize {
        (self.desc.output.height * self.desc.output.width).div_ceil(self.blocks)
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
        ScratchSize { shared: 0, local: self.rows() * (self.desc.depth() + self.desc.group_outputs()) }
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let desc = &self.desc;
        let (depth, outputs) = (desc.depth(), desc.group_outputs());
        let picture = desc.output.height * desc.output.width;
        let n = chunk / self.blocks;
        let pixels = even_range(picture, self.blocks, chunk % self.blocks);
        let rows = pixels.len();
        // SAFETY: the local scratch has room for `rows` gathered rows and as many of sums, the
        // weights for `outputs * depth` of each group, and the maps are the descriptor's.
        unsafe {
            let gathered = scratch.local;
            let sums = gathered.add(self.rows() * depth);
            for group in 0..desc.groups {
                let mut pixel = Pixel::nth(n * picture + pixels.start, desc.output.height, desc.output.width);
                for r in 0..rows {
                    gather(desc, group, pixel, io.inputs[0], gathered.add(r * depth));
                    pixel.advance(desc.output.height, desc.output.width);
                }
                let weights = self.weights.as_ptr().add(group * outputs * depth);
                let (k, oc) = (depth as isize, outputs as isize);
                matrixmultiply::sgemm(
                    rows, depth, outputs, 1.0, gathered, k, 1, weights, 1, k, 0.0, sums, oc, 1,
                );
                let mut pixel = Pixel::nth(n * picture + pixels.start, desc.output.height, desc.output.width);
                for r in 0..rows {
                    self.store(group, pixel, sums.add(r * outputs), io);
                    pixel.advance(desc.output.height, desc.output.width);
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
    /// `sums` holds the group's outputs, `io` is the run's.
    unsafe fn store(&self, group: usize, pixel: Pixel, sums: *mut f32, io: &Io<'_>) {
        let desc = &self.desc;
        let outputs = desc.group_outputs();
        let first = group * outputs;
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
