//! Group normalisation (Wu and He 2018): a picture's channels in groups, each normalised by the
//! mean and variance of all its values. Instance normalisation has one channel per group.
//!
//! The values of a channel are added in parts of about 128, whose sums are added in double
//! precision, first for the mean and then for the squared differences from it. The parts depend
//! only on the shape and layout, so the result does not depend on the threads.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::kernels::names::{Names, names};
use crate::kernels::nest::Nest;
use crate::kernels::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, MOST_LANES, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Shape, View};

/// `(x - mean) / sqrt(variance + epsilon) * weight[c] + bias[c]`, with the mean and the (biased)
/// variance of a picture's group of channels: torch's `GroupNorm`, and with as many groups as
/// channels its `InstanceNorm`. The shape is (N, C, ...) in any layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormDesc {
    /// What is read.
    pub input: View,
    /// What is written, of the same shape. It may share the input's memory if the strides agree.
    pub output: View,
    /// Number of groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

/// The kernel of a group normalisation; without `weight` and `bias` these are 1 and 0.
///
/// # Panics
/// If the shapes differ or have fewer than two dimensions, the groups do not divide the channels,
/// or a vector's length is not the number of channels.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_group(
    desc: &GroupNormDesc,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    isa: Isa,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let GroupNormDesc { input, output, groups, .. } = *desc;
    let shape = input.shape;
    assert_eq!(shape, output.shape, "a normalisation keeps the shape");
    assert!(shape.rank() >= 2, "a group normalisation needs channels: {shape}");
    let channels = shape[1];
    assert!(groups > 0 && channels.is_multiple_of(groups), "{groups} groups of {channels} channels");
    let vector = |values: Option<&[f32]>, default: f32| -> Result<Arc<AlignedBuf>> {
        let mut vector = AlignedBuf::resident(channels, "a normalisation")?;
        match values {
            Some(values) => vector.copy_from_slice(values),
            None => vector.fill(default),
        }
        Ok(Arc::new(vector))
    };
    let nest = Nest::new(Shape::new(&shape[2..]), [&output.strides()[2..], &input.strides()[2..]]);
    let nest = nest.with_pieces(PART);
    let pieces = (PART / nest.inner().size.clamp(1, PART)).max(1);
    let parts = nest.pieces().div_ceil(pieces);
    let items = shape[0] * parts;
    let chunks = chunks_for(items, threads);
    let pictures = chunks_for(shape[0], threads);
    let phases = if shape.numel() == 0 { vec![] } else { vec![chunks, pictures, chunks, pictures, chunks] };
    let dense = channels == 1 || [input.strides[1], output.strides[1]] == [1, 1];
    Ok(Box::new(GroupNorm {
        desc: *desc,
        weight: vector(weight, 1.0)?,
        bias: vector(bias, 0.0)?,
        nest,
        pieces,
        parts,
        dense,
        phases,
        isa,
    }))
}

/// Approximate number of a channel's values that are added in one part.
const PART: usize = 128;

struct GroupNorm {
    desc: GroupNormDesc,
    weight: Arc<AlignedBuf>,
    bias: Arc<AlignedBuf>,
    /// Over one channel of a picture: output and input.
    nest: Nest<2>,
    /// Pieces of the nest in a part.
    pieces: usize,
    /// Parts of a channel.
    parts: usize,
    /// Whether a pixel's channels are adjacent in memory.
    dense: bool,
    /// Phases: sums of parts, means, sums of squares of parts, factors, results.
    phases: Vec<usize>,
    isa: Isa,
}

const NAMES: Names<1> = names!("group_norm");

impl GroupNorm {
    fn channels(&self) -> usize {
        self.desc.input.shape[1]
    }

    /// Floats of all parts' sums: one per picture, part and channel. They are followed by each
    /// picture's means and factors, one per channel.
    fn sums(&self) -> usize {
        self.desc.input.shape[0] * self.parts * self.channels()
    }

    /// Combines a picture's parts to one value per group, which is stored for each of its channels.
    ///
    /// # Safety
    /// `sums` must be valid for reading the picture's parts, `to` for writing a value per channel.
    unsafe fn join(&self, sums: *const f32, to: *mut f32, finish: impl Fn(f64, usize) -> f32) {
        let (channels, size) = (self.channels(), self.channels() / self.desc.groups);
        let count = size * self.desc.input.shape[2..].iter().product::<usize>();
        for group in 0..self.desc.groups {
            let mut total = 0.0;
            for part in 0..self.parts {
                for c in group * size..(group + 1) * size {
                    // SAFETY: the caller's contract.
                    total += f64::from(unsafe { *sums.add(part * channels + c) });
                }
            }
            for c in group * size..(group + 1) * size {
                // SAFETY: the caller's contract.
                unsafe { *to.add(c) = finish(total / count as f64, c) };
            }
        }
    }
}

impl Kernel for GroupNorm {
    fn name(&self) -> &'static str {
        NAMES.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        let values = 2 * self.desc.input.shape[0] * self.channels();
        ScratchSize::floats(if self.phases.is_empty() { 0 } else { self.sums() + values }, 0)
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let (batch, channels) = (self.desc.input.shape[0], self.channels());
        let sums: *mut f32 = scratch.shared();
        // SAFETY: the scratch has room for the sums and two values per picture and channel.
        let (means, factors) = unsafe {
            let means = sums.add(self.sums());
            (means, means.add(batch * channels))
        };
        if phase % 2 == 1 {
            for n in even_range(batch, self.phases[phase], chunk) {
                // SAFETY: as above.
                unsafe {
                    let sums = sums.add(n * self.parts * channels);
                    if phase == 1 {
                        self.join(sums, means.add(n * channels), |mean, _| mean as f32);
                    } else {
                        self.join(sums, factors.add(n * channels), |variance, c| {
                            let deviation = (variance + f64::from(self.desc.epsilon)).sqrt();
                            (f64::from(self.weight[c]) / deviation) as f32
                        });
                    }
                }
            }
            return;
        }
        self.isa.dispatch(Parts {
            norm: self,
            step: [Step::Sum, Step::Squares, Step::Result][phase / 2],
            items: even_range(batch * self.parts, self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
            sums,
            means,
            factors,
        });
    }
}

/// The operation of a phase on a part's values.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Sum,
    Squares,
    Result,
}

/// One chunk's parts.
struct Parts<'a> {
    norm: &'a GroupNorm,
    step: Step,
    items: Range<usize>,
    input: *const f32,
    output: *mut f32,
    sums: *mut f32,
    means: *const f32,
    factors: *const f32,
}

impl Vectorized for Parts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let GroupNorm { desc: GroupNormDesc { input, output, .. }, nest, pieces, parts, .. } = self.norm;
        let channels = self.norm.channels();
        for item in self.items {
            let (n, part) = (item / parts, item % parts);
            let range = part * pieces..nest.pieces().min((part + 1) * pieces);
            // SAFETY: the picture is inside both views, and the scratch has room for each picture's
            // and part's channels.
            unsafe {
                let part = Part {
                    norm: self.norm,
                    step: self.step,
                    range,
                    input: self.input.add(n * input.strides[0]),
                    output: self.output.add(n * output.strides[0]),
                    sums: self.sums.add(item * channels),
                    means: self.means.add(n * channels),
                    factors: self.factors.add(n * channels),
                };
                if self.norm.dense {
                    part.by_pixels(s);
                } else {
                    part.by_channels(s);
                }
            }
        }
    }
}

/// One part of a picture: some pixels with all channels.
struct Part<'a> {
    norm: &'a GroupNorm,
    step: Step,
    range: Range<usize>,
    input: *const f32,
    output: *mut f32,
    sums: *mut f32,
    means: *const f32,
    factors: *const f32,
}

impl Part<'_> {
    /// Vectors of neighbouring channels.
    ///
    /// # Safety
    /// The pointers must be valid for the part and its channels, which are dense.
    #[inline(always)]
    unsafe fn by_pixels<S: Simd>(&self, s: S) {
        let channels = self.norm.channels();
        let mut c = 0;
        // SAFETY: the caller's contract; this many channels remain from c.
        unsafe {
            while c + 4 * S::LANES <= channels {
                self.pixels::<S, 4>(s, c, S::LANES);
                c += 4 * S::LANES;
            }
            while c < channels {
                self.pixels::<S, 1>(s, c, S::LANES.min(channels - c));
                c += S::LANES;
            }
        }
    }

    /// `V` vectors of channels from `c`; of a single vector only the first `n` lanes count.
    ///
    /// # Safety
    /// As [`Self::by_pixels`], with this many channels from `c`.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const V: usize>(&self, s: S, c: usize, n: usize) {
        let nest = &self.norm.nest;
        let [to_step, from_step] = nest.inner().strides;
        // SAFETY: the caller's contract.
        unsafe {
            let (input, output) = (self.input.add(c), self.output.add(c));
            if self.step == Step::Result {
                let (mean, factor) =
                    (load::<S, V>(s, self.means.add(c), n), load::<S, V>(s, self.factors.add(c), n));
                let bias = load::<S, V>(s, self.norm.bias.as_ptr().add(c), n);
                for ([to, from], len) in nest.walk(self.range.clone()) {
                    for i in 0..len {
                        let x = load::<S, V>(s, input.add(from + i * from_step), n);
                        let mut y = x;
                        for (v, y) in y.iter_mut().enumerate() {
                            *y = s.fma(s.sub(*y, mean[v]), factor[v], bias[v]);
                        }
                        store::<S, V>(s, output.add(to + i * to_step), y, n);
                    }
                }
                return;
            }
            let squares = self.step == Step::Squares;
            let mean = if squares { load::<S, V>(s, self.means.add(c), n) } else { [s.zero(); V] };
            let mut sum = [s.zero(); V];
            for ([_, from], len) in nest.walk(self.range.clone()) {
                for i in 0..len {
                    let x = load::<S, V>(s, input.add(from + i * from_step), n);
                    for v in 0..V {
                        let d = s.sub(x[v], mean[v]);
                        sum[v] = if squares { s.fma(d, d, sum[v]) } else { s.add(sum[v], d) };
                    }
                }
            }
            store::<S, V>(s, self.sums.add(c), sum, n);
        }
    }

    /// One channel after the other, in vectors if its values are adjacent.
    ///
    /// # Safety
    /// The pointers must be valid for the part and its channels.
    #[inline(always)]
    unsafe fn by_channels<S: Simd>(&self, s: S) {
        let GroupNorm { desc: GroupNormDesc { input, output, .. }, nest, bias, .. } = self.norm;
        let [to_step, from_step] = nest.inner().strides;
        let lanes = if [to_step, from_step] == [1, 1] { S::LANES } else { 1 };
        for c in 0..self.norm.channels() {
            // SAFETY: the nest stays inside the channel, of which `n` adjacent values remain, or
            // one.
            unsafe {
                let (from, to) =
                    (self.input.add(c * input.strides[1]), self.output.add(c * output.strides[1]));
                let mean = s.splat(if self.step == Step::Sum { 0.0 } else { *self.means.add(c) });
                let mut sum = s.zero();
                for ([to_at, from_at], len) in nest.walk(self.range.clone()) {
                    for i in (0..len).step_by(lanes) {
                        let n = lanes.min(len - i);
                        let d = s.sub(s.load_partial(from.add(from_at + i * from_step), n), mean);
                        if self.step == Step::Result {
                            let y = s.fma(d, s.broadcast(self.factors.add(c)), s.splat(bias[c]));
                            s.store_partial(to.add(to_at + i * to_step), y, n);
                            continue;
                        }
                        let x = if self.step == Step::Squares { s.mul(d, d) } else { d };
                        sum = s.add(sum, if n == S::LANES { x } else { first_lanes(s, x, n) });
                    }
                }
                if self.step != Step::Result {
                    *self.sums.add(c) = s.reduce_add(sum);
                }
            }
        }
    }
}

/// Loads `V` vectors, or the first `n` lanes of a single one.
///
/// # Safety
/// `ptr` must be valid for reading them.
#[inline(always)]
unsafe fn load<S: Simd, const V: usize>(s: S, ptr: *const f32, n: usize) -> [S::F32; V] {
    let mut x = [s.zero(); V];
    for (v, x) in x.iter_mut().enumerate() {
        // SAFETY: the caller's contract.
        *x = unsafe {
            if V > 1 || n == S::LANES { s.load(ptr.add(v * S::LANES)) } else { s.load_partial(ptr, n) }
        };
    }
    x
}

/// Stores as many as [`load`] loads.
///
/// # Safety
/// `ptr` must be valid for writing them.
#[inline(always)]
unsafe fn store<S: Simd, const V: usize>(s: S, ptr: *mut f32, x: [S::F32; V], n: usize) {
    for (v, x) in x.into_iter().enumerate() {
        // SAFETY: the caller's contract.
        unsafe {
            if V > 1 || n == S::LANES {
                s.store(ptr.add(v * S::LANES), x);
            } else {
                s.store_partial(ptr, x, n);
            }
        }
    }
}

/// The first `n` lanes, the others zero.
#[inline(always)]
fn first_lanes<S: Simd>(s: S, x: S::F32, n: usize) -> S::F32 {
    let mut lanes = [0.0_f32; MOST_LANES];
    // SAFETY: no vector has more lanes.
    unsafe {
        s.store_partial(lanes.as_mut_ptr(), x, n);
        s.load(lanes.as_ptr())
    }
}
