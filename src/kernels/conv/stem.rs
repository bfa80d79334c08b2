//! Convolutions of few channels or of planar inputs: a copy with a halo of zeros, then the implicit
//! product over it.
//!
//! In the copy, channels are dense and no tap is in the padding, so a kernel row is one run of
//! `kw * ic` floats: a network's first convolution, with its three channels, has runs as long as
//! others'. An input of separate planes (a network's, in NumPy's order) needs the copy anyway.
//! Convolutions with few weights are faster over planes ([`super::planes`]); this kernel is for the
//! patches of vision transformers, large strides, and planes of more channels.

use std::ops::Range;

use super::desc::{Candidate, ConvDesc, FLOATS, Padding, on_vectors};
use super::igemm::{Igemm, form, pack};
use crate::error::Result;
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::Simd;
use crate::tensor::{FeatureMap, Packed};

/// Up to this many channels, the longer runs are worth the copy.
const FEW_CHANNELS: usize = 4;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_vectors!(candidate);

const NAMES: WeightNames = names!(weights: "stem");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts,
        prefers: |_| true,
        form: form::<S>,
        pack: pack::<S>(),
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: None,
        block_part: None,
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    let few = desc.input.channels <= FEW_CHANNELS && desc.groups == 1 && desc.kernel != [1, 1];
    few || !desc.input.channels_last()
}

fn prepare<S: Simd>(
    desc: &ConvDesc,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    // The part that the kernel sees, which may be smaller or larger than the padded input.
    let seen = |axis: usize, outputs: usize| {
        outputs.saturating_sub(1) * desc.stride[axis] + (desc.kernel[axis] - 1) * desc.dilation[axis] + 1
    };
    let height = seen(0, desc.output.height);
    let width = seen(1, desc.output.width);
    let copy = FeatureMap::nhwc(desc.input.batch, height, width, desc.input.channels);
    let over_copy = ConvDesc { input: copy, padding: Padding::default(), ..*desc };
    let product = Igemm::new(&NAMES, S::ISA, &over_copy, packed, epilogue, threads)?;
    let phases = [chunks_for(copy.batch * copy.height, threads), product.phases()[0]];
    Ok(Box::new(Stem { input: desc.input, padding: desc.padding, copy, product, phases }))
}

/// A prepared stem.
struct Stem {
    input: FeatureMap,
    padding: Padding,
    copy: FeatureMap,
    product: Igemm,
    phases: [usize; 2],
}

impl Kernel for Stem {
    fn name(&self) -> &'static str {
        self.product.name()
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        let copy = ScratchSize::floats(self.copy.view().end(), 0);
        ScratchSize { shared: copy.shared, ..self.product.scratch() }
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        // SAFETY: the caller's contract; the shared scratch has room for the copy, its chunks are
        // disjoint rows, and it is complete before the product reads it.
        unsafe {
            if phase == 0 {
                let rows = even_range(self.copy.batch * self.copy.height, self.phases[0], chunk);
                self.copy_rows(rows, io.inputs[0], scratch.shared());
                return;
            }
            let mut inputs = [scratch.shared::<f32>().cast_const(); 2];
            inputs[1..io.inputs.len()].copy_from_slice(&io.inputs[1..]);
            let io = Io { inputs: &inputs[..io.inputs.len()], output: io.output };
            self.product.run(0, chunk, &io, scratch);
        }
    }
}

impl Stem {
    /// # Safety
    /// `input` and `to` are the maps of the descriptor and of the copy.
    unsafe fn copy_rows(&self, rows: Range<usize>, input: *const f32, to: *mut f32) {
        let (copy, map) = (&self.copy, &self.input);
        let channels = copy.channels;
        let left = self.padding.left.min(copy.width);
        let inside = map.width.min(copy.width - left);
        for row in rows {
            let (n, y) = (row / copy.height, row % copy.height);
            // SAFETY: the copy's own row.
            let to =
                unsafe { std::slice::from_raw_parts_mut(to.add(copy.at(n, y, 0)), copy.width * channels) };
            let y = y.wrapping_sub(self.padding.top);
            if y >= map.height {
                to.fill(0.0);
                continue;
            }
            to[..left * channels].fill(0.0);
            to[(left + inside) * channels..].fill(0.0);
            let to = &mut to[left * channels..][..inside * channels];
            // SAFETY: `inside` pixels of the input's row, which is inside the picture.
            unsafe {
                let from = input.add(map.at(n, y, 0));
                match channels {
                    1 => interleave::<1>(from, map, to),
                    3 => interleave::<3>(from, map, to),
                    4 => interleave::<4>(from, map, to),
                    _ => gather(from, map, to),
                }
            }
        }
    }
}

/// Gathers pixels of `C` channels with any strides.
///
/// # Safety
/// `from` is at a row of `map` with at least as many pixels as `to`.
unsafe fn interleave<const C: usize>(from: *const f32, map: &FeatureMap, to: &mut [f32]) {
    let planes: [*const f32; C] = std::array::from_fn(|c| from.wrapping_add(c * map.channel_stride));
    for (x, to) in to.as_chunks_mut::<C>().0.iter_mut().enumerate() {
        for (to, plane) in to.iter_mut().zip(planes) {
            // SAFETY: by contract.
            *to = unsafe { *plane.add(x * map.pixel_stride) };
        }
    }
}

/// The same for any number of channels.
///
/// # Safety
/// As [`interleave`].
unsafe fn gather(from: *const f32, map: &FeatureMap, to: &mut [f32]) {
    for c in 0..map.channels {
        for (x, to) in to.iter_mut().skip(c).step_by(map.channels).enumerate() {
            // SAFETY: by contract.
            *to = unsafe { *from.add(x * map.pixel_stride + c * map.channel_stride) };
        }
    }
}
