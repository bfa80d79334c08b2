//! Generated convolutions with guarded memory, for tests of all convolution kernels.
//!
//! A problem's memory is between inaccessible pages, begins and ends exactly with its view, and
//! holds NaN in the view's gaps. Chunks run in reverse order with their scratch poisoned in
//! between, so a kernel that depends on their order or reads memory that it has not written fails.

pub(crate) mod views;

use std::ops::{Deref, DerefMut, RangeInclusive};
use std::ptr::NonNull;

use half::f16;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult, TestRunner};

use super::conv::{Candidate, ConvDesc, Padding};
use super::reference::{Expected, conv_f64};
use super::{Epilogue, Io, Kernel, Scratch};
use crate::tensor::{Activation, ElementType, FeatureMap, Packed, Values};

/// Floats between two inaccessible pages; the last float ends at the second page.
pub(crate) struct Guarded {
    pages: NonNull<libc::c_void>,
    bytes: usize,
    start: NonNull<f32>,
    len: usize,
}

impl Guarded {
    const PAGE: usize = 4096;

    /// `len` NaNs.
    pub(crate) fn poisoned(len: usize) -> Self {
        let inner = (len * size_of::<f32>()).next_multiple_of(Self::PAGE);
        let bytes = inner + 2 * Self::PAGE;
        // SAFETY: a fresh anonymous mapping, then all but its first and last page made accessible.
        let (pages, start) = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let pages = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(pages, libc::MAP_FAILED, "no memory for a test");
            let inside = pages.byte_add(Self::PAGE);
            if inner > 0 {
                assert_eq!(libc::mprotect(inside, inner, libc::PROT_READ | libc::PROT_WRITE), 0);
            }
            (pages, inside.byte_add(inner).cast::<f32>().sub(len))
        };
        let mut guarded =
            Self { pages: NonNull::new(pages).unwrap(), bytes, start: NonNull::new(start).unwrap(), len };
        guarded.fill(f32::NAN);
        guarded
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: mapped with this size in `poisoned`.
        unsafe { libc::munmap(self.pages.as_ptr(), self.bytes) };
    }
}

impl Deref for Guarded {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: len floats between the guards, owned by self.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in deref, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// The `i`-th number of `seed`, uniform in -1..1.
pub(crate) fn uniform(seed: u64, i: usize) -> f32 {
    // SplitMix64.
    let mut z = (seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z >> 40) as f32) / 8_388_608.0 - 1.0
}

/// Offsets of a map's elements in the order picture, row, column, channel.
pub(crate) fn offsets(map: FeatureMap) -> impl Iterator<Item = usize> {
    let FeatureMap { batch, height, width, channels, .. } = map;
    (0..batch * height * width * channels).map(move |i| {
        let (pixel, c) = (i / channels, i % channels);
        map.at(pixel / (height * width), pixel / width % height, pixel % width) + c * map.channel_stride
    })
}

/// A map's memory: numbers of `seed` where the view has elements, NaN in its gaps.
pub(crate) fn filled(map: FeatureMap, seed: u64) -> Guarded {
    let mut memory = Guarded::poisoned(map.view().end());
    for (i, offset) in offsets(map).enumerate() {
        memory[offset] = uniform(seed, i);
    }
    memory
}

/// Runs a prepared kernel, the chunks of each phase in reverse order and with poisoned scratch.
///
/// # Safety
/// As [`Kernel::run`], without the scratch.
pub(crate) unsafe fn run_reversed(kernel: &dyn Kernel, io: &Io<'_>) {
    let size = kernel.scratch();
    // A whole number of cache lines ends at the guard page, so that the start is aligned as
    // required.
    let floats = |bytes: usize| Guarded::poisoned(bytes.next_multiple_of(64) / size_of::<f32>());
    let (mut shared, mut local) = (floats(size.shared), floats(size.local));
    for (phase, &chunks) in kernel.phases().iter().enumerate() {
        assert!(chunks > 0, "{}: phase {phase} is empty", kernel.name());
        for chunk in (0..chunks).rev() {
            local.fill(f32::NAN);
            let scratch = Scratch::new(shared.as_mut_ptr().cast(), local.as_mut_ptr().cast());
            // SAFETY: the caller's contract, with scratch of the requested size.
            unsafe { kernel.run(phase, chunk, io, scratch) };
        }
    }
}

/// The sizes of generated convolutions; [`Default`] allows all. A kernel's test narrows them to
/// what its kernel accepts: `ConvRanges { kernel: 3..=3, ..Default::default() }`.
#[derive(Clone, Debug)]
pub(crate) struct ConvRanges {
    pub(crate) batch: RangeInclusive<usize>,
    /// Height and width of the input.
    pub(crate) size: RangeInclusive<usize>,
    pub(crate) groups: RangeInclusive<usize>,
    /// Input channels of a group.
    pub(crate) inputs: RangeInclusive<usize>,
    /// Output channels of a group.
    pub(crate) outputs: RangeInclusive<usize>,
    /// Height and width of the kernel, drawn separately.
    pub(crate) kernel: RangeInclusive<usize>,
    /// Width of the kernel, if its range differs from the height's.
    pub(crate) kernel_width: Option<RangeInclusive<usize>>,
    pub(crate) stride: RangeInclusive<usize>,
    pub(crate) dilation: RangeInclusive<usize>,
    /// Padding of each side.
    pub(crate) padding: RangeInclusive<usize>,
    /// Whether the input may be planar (NCHW).
    pub(crate) planar: bool,
}

impl Default for ConvRanges {
    fn default() -> Self {
        Self {
            batch: 1..=2,
            size: 1..=12,
            groups: 1..=3,
            inputs: 1..=20,
            outputs: 1..=40,
            kernel: 1..=5,
            kernel_width: None,
            stride: 1..=3,
            dilation: 1..=3,
            padding: 0..=6,
            planar: true,
        }
    }
}

/// The memory of a generated convolution's residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResidualAt {
    Nowhere,
    Elsewhere,
    Output,
}

/// A generated convolution: shapes, layouts, epilogue; its values follow from the seed.
#[derive(Clone, Debug)]
pub(crate) struct ConvProblem {
    pub(crate) desc: ConvDesc,
    pub(crate) scale: bool,
    pub(crate) shift: bool,
    pub(crate) residual: ResidualAt,
    pub(crate) seed: u64,
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        3 => Just(Activation::Identity),
        3 => Just(Activation::Relu),
        1 => Just(Activation::Clamp { lo: 0.0, hi: 6.0 }),
        1 => Just(Activation::Clamp { lo: -0.3, hi: 0.4 }),
        1 => Just(Activation::LeakyRelu { slope: 0.1 }),
        1 => Just(Activation::Hardswish),
        1 => Just(Activation::Hardsigmoid),
        1 => Just(Activation::Tanh),
        1 => Just(Activation::Sigmoid),
        1 => Just(Activation::Silu),
        1 => Just(Activation::Gelu),
        1 => Just(Activation::GeluTanh),
    ]
}

/// A channels-last map with this many unused floats after each pixel, row and picture.
pub(crate) fn gapped(map: FeatureMap, gaps: [usize; 3]) -> FeatureMap {
    let pixel_stride = map.channels + gaps[0];
    let row_stride = map.width * pixel_stride + gaps[1];
    let image_stride = map.height * row_stride + gaps[2];
    FeatureMap { channel_stride: 1, pixel_stride, row_stride, image_stride, ..map }
}

/// A planar map (NCHW).
fn planar(map: FeatureMap) -> FeatureMap {
    FeatureMap {
        pixel_stride: 1,
        row_stride: map.width,
        channel_stride: map.width * map.height,
        image_stride: map.width * map.height * map.channels,
        ..map
    }
}

impl ConvProblem {
    /// Convolutions within `ranges`.
    pub(crate) fn strategy(ranges: ConvRanges) -> impl Strategy<Value = Self> {
        let r = ranges;
        let pair = |range: &RangeInclusive<usize>| [range.clone(), range.clone()];
        let gaps = || prop_oneof![2 => Just([0; 3]), 1 => [0..9_usize, 0..9_usize, 0..9_usize]];
        let residual = prop_oneof![
            2 => Just(ResidualAt::Nowhere),
            1 => Just(ResidualAt::Elsewhere),
            1 => Just(ResidualAt::Output),
        ];
        let sizes = (r.batch.clone(), pair(&r.size), r.groups.clone(), r.inputs.clone(), r.outputs.clone());
        let pads = std::array::from_fn::<_, 4, _>(|_| r.padding.clone());
        let kernel = [r.kernel.clone(), r.kernel_width.clone().unwrap_or(r.kernel.clone())];
        let window = (kernel, pair(&r.stride), pair(&r.dilation), pads);
        let layout = (gaps(), gaps(), gaps(), proptest::bool::weighted(if r.planar { 0.3 } else { 0.0 }));
        let epilogue = (any::<bool>(), any::<bool>(), residual, activations(), 0..1_000_000_u64);
        (sizes, window, layout, epilogue, prop::sample::select(&ElementType::ALL[..])).prop_map(
            |(sizes, window, layout, epilogue, weights)| {
                let (batch, [height, width], groups, inputs, outputs) = sizes;
                let (kernel, stride, dilation, [top, left, mut bottom, mut right]) = window;
                let (in_gaps, out_gaps, residual_gaps, is_planar) = layout;
                let (scale, shift, residual, activation, seed) = epilogue;
                let extent = |i: usize| (kernel[i] - 1) * dilation[i] + 1;
                bottom = bottom.max(extent(0).saturating_sub(top + height));
                right = right.max(extent(1).saturating_sub(left + width));
                let out = |i: usize, padded: usize| (padded - extent(i)) / stride[i] + 1;
                let (oh, ow) = (out(0, top + height + bottom), out(1, left + width + right));
                let input = FeatureMap::nhwc(batch, height, width, groups * inputs);
                let output = FeatureMap::nhwc(batch, oh, ow, groups * outputs);
                let desc = ConvDesc {
                    input: if is_planar { planar(input) } else { gapped(input, in_gaps) },
                    output: gapped(output, out_gaps),
                    residual: match residual {
                        ResidualAt::Nowhere => None,
                        ResidualAt::Elsewhere => Some(gapped(output, residual_gaps)),
                        ResidualAt::Output => Some(gapped(output, out_gaps)),
                    },
                    kernel,
                    stride,
                    dilation,
                    padding: Padding { top, left, bottom, right },
                    groups,
                    weights,
                    activation,
                };
                Self { desc, scale, shift, residual, seed }
            },
        )
    }

    /// One given convolution with scale and shift, with random values.
    pub(crate) fn of(desc: &ConvDesc) -> Self {
        let residual = if desc.residual.is_some() { ResidualAt::Elsewhere } else { ResidualAt::Nowhere };
        Self { desc: *desc, scale: true, shift: true, residual, seed: 1 }
    }

    /// The same with weights of that type.
    pub(crate) fn with_weights(mut self, weights: ElementType) -> Self {
        self.desc.weights = weights;
        self
    }

    /// Weights in torch's order, with the stored values.
    pub(crate) fn weights(&self) -> Vec<f32> {
        let len = self.desc.output.channels * self.desc.depth();
        let stored = |x: f32| match self.desc.weights {
            ElementType::F32 => x,
            ElementType::F16 => f16::from_f32(x).to_f32(),
        };
        (0..len).map(|i| stored(uniform(self.seed + 1, i))).collect()
    }

    /// The weights, packed for a candidate.
    pub(crate) fn pack(&self, candidate: &Candidate) -> Packed {
        let weights = self.weights();
        let halves: Vec<f16> = weights.iter().copied().map(f16::from_f32).collect();
        let values = match self.desc.weights {
            ElementType::F32 => Values::F32(&weights),
            ElementType::F16 => Values::F16(&halves),
        };
        candidate.pack_values(&self.desc, values).unwrap()
    }

    /// The epilogue.
    pub(crate) fn epilogue(&self) -> Epilogue {
        let draw = |wanted: bool, seed: u64| {
            wanted.then(|| (0..self.desc.output.channels).map(|c| uniform(seed, c)).collect::<Vec<_>>())
        };
        let (scale, shift) = (draw(self.scale, self.seed + 2), draw(self.shift, self.seed + 3));
        Epilogue::new(scale.as_deref(), shift.as_deref(), self.desc.activation).unwrap()
    }

    /// The expected result.
    pub(crate) fn expected(&self) -> Expected {
        let residual = self.desc.residual.map(|map| filled(map, self.seed + 4));
        let input = filled(self.desc.input, self.seed);
        conv_f64(&self.desc, &input, &self.weights(), &self.epilogue(), residual.as_deref())
    }

    /// A candidate's result: values in the order picture, row, column, channel.
    pub(crate) fn run(&self, candidate: &Candidate, threads: usize) -> Vec<f32> {
        let packed = self.pack(candidate);
        let name = match packed {
            Packed::F32(_) => candidate.name.to_owned(),
            Packed::F16(_) => candidate.name.replace("f32_", "f32_f16w_"),
        };
        let kernel = (candidate.prepare)(&self.desc, packed, self.epilogue(), threads).unwrap();
        assert_eq!(kernel.name(), name);
        self.run_kernel(&*kernel, filled(self.desc.input, self.seed))
    }

    /// A prepared kernel's result for this input.
    pub(crate) fn run_kernel(&self, kernel: &dyn Kernel, input: Guarded) -> Vec<f32> {
        self.run_with(kernel, input, None)
    }

    /// The same for a kernel with one more input.
    pub(crate) fn run_with(
        &self,
        kernel: &dyn Kernel,
        input: Guarded,
        further: Option<&Guarded>,
    ) -> Vec<f32> {
        let map = self.desc.output;
        let residual = self.desc.residual.map(|map| filled(map, self.seed + 4));
        let (mut output, residual) = match (self.residual, residual) {
            (ResidualAt::Output, Some(residual)) => (residual, None),
            (_, residual) => (Guarded::poisoned(map.view().end()), residual),
        };
        let at = output.as_mut_ptr();
        let residual_at = residual.as_ref().map_or(at.cast_const(), |residual| residual.as_ptr());
        let mut inputs = vec![input.as_ptr()];
        inputs.extend(self.desc.residual.map(|_| residual_at));
        inputs.extend(further.map(|further| further.as_ptr()));
        // SAFETY: the memory matches the descriptor, and nothing else uses it.
        unsafe { run_reversed(kernel, &Io { inputs: &inputs, output: at }) };
        let values: Vec<f32> = offsets(map).map(|offset| output[offset]).collect();
        offsets(map).for_each(|offset| output[offset] = f32::NAN);
        assert!(output.iter().all(|x| x.is_nan()), "{}: writes between its pixels", kernel.name());
        values
    }

    /// Whether a candidate's values are within `tolerance` of the oracle's, relative to the
    /// largest sum of magnitudes in the map (about 1e-6 for a direct kernel).
    pub(crate) fn check(&self, candidate: &Candidate, threads: usize, tolerance: f64) -> TestCaseResult {
        let found = self.run(candidate, threads);
        let Expected { values, magnitudes } = self.expected();
        let bound = tolerance * magnitudes.iter().fold(0.0, |a: f64, &b| a.max(b));
        for (i, (&found, &expected)) in found.iter().zip(&values).enumerate() {
            let c = i % self.desc.output.channels;
            prop_assert!(
                (f64::from(found) - expected).abs() <= bound,
                "{} with {threads} threads, {} weights, pixel {}, channel {c}: {found}, expected {expected} +- \
                 {bound:e}",
                candidate.name,
                self.desc.weights.name(),
                i / self.desc.output.channels,
            );
        }
        Ok(())
    }
}

/// Runs `test` on `cases` problems within `ranges`, the same ones each time.
pub(crate) fn for_problems(ranges: ConvRanges, cases: u32, test: impl Fn(ConvProblem) -> TestCaseResult) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x00C0_FFEE),
        ..ProptestConfig::default()
    };
    if let Err(error) = TestRunner::new(config).run(&ConvProblem::strategy(ranges), test) {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_as_large_as_the_map_is_a_dot_product() {
        let desc = ConvDesc {
            input: planar(FeatureMap::nhwc(1, 3, 2, 5)),
            output: FeatureMap::nhwc(1, 1, 1, 1),
            residual: None,
            kernel: [3, 2],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::default(),
            groups: 1,
            weights: ElementType::F32,
            activation: Activation::Identity,
        };
        let problem = ConvProblem::of(&desc);
        let input = filled(desc.input, problem.seed);
        let sum: f64 = input.iter().zip(&problem.weights()).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
        let epilogue = problem.epilogue();
        let (scale, shift) = (epilogue.scale.unwrap()[0], epilogue.shift.unwrap()[0]);
        let expected = problem.expected();
        assert!((expected.values[0] - (sum * f64::from(scale) + f64::from(shift))).abs() < 1e-12);
    }
}
