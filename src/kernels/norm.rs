//! Normalisations that are not an affine function of each value: over neighbouring channels
//! (Krizhevsky et al. 2012), over a value's last dimensions or a pixel's channels (Ba et al. 2016),
//! by a pixel's Euclidean norm, and over groups of a picture's channels ([`group`]).

mod group;

pub use group::{GroupNormDesc, prepare_group};

use std::sync::Arc;

use super::names::{Names, names};
use super::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::error::Result;
use crate::simd::{Isa, MOST_LANES, Simd, Vectorized};
use crate::tensor::{AlignedBuf, FeatureMap};

/// `x / (k + alpha / size * sum of squares over the window of channels)^beta`, torch's
/// `LocalResponseNorm`. The window has `size / 2` channels before and `(size - 1) / 2` after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNormDesc {
    /// What is read; channels are dense.
    pub input: FeatureMap,
    /// What is written, of the same sizes; channels are dense. It may share the input's memory if
    /// the strides agree.
    pub output: FeatureMap,
    /// Channels in a window.
    pub size: usize,
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Constant term.
    pub k: f32,
}

impl LocalResponseNormDesc {
    /// Channels of the summed window: a larger one covers all channels from each of them.
    fn window(&self) -> usize {
        self.size.min(2 * self.input.channels)
    }
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over each pixel's channels: torch's
/// `LayerNorm` over the last dimension, and `ConvNeXt`'s `LayerNorm2d`. A matrix of rows is a map
/// of 1x1 pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormDesc {
    /// What is read; channels are dense.
    pub input: FeatureMap,
    /// What is written, of the same sizes; channels are dense. It may share the input's memory if
    /// the strides agree.
    pub output: FeatureMap,
    /// Added to the variance.
    pub epsilon: f32,
}

/// `x / max(sqrt(sum of squares), epsilon)` over each pixel's channels: torch's `normalize` with
/// `p=2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalizeDesc {
    /// What is read; channels are dense.
    pub input: FeatureMap,
    /// What is written, of the same sizes; channels are dense. It may share the input's memory if
    /// the strides agree.
    pub output: FeatureMap,
    /// The least divisor.
    pub epsilon: f32,
}

/// The kernel of a normalisation to norm one.
///
/// # Panics
/// If the sizes differ, or the channels are not dense.
pub fn prepare_normalize(desc: &NormalizeDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    Box::new(Norm::new(desc.input, desc.output, Rule::Length { epsilon: desc.epsilon }, isa, threads))
}

/// The kernel of a local response normalisation.
///
/// # Panics
/// If the sizes differ, or the channels are not dense.
pub fn prepare_local_response(desc: &LocalResponseNormDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let power = match desc.beta {
        0.5 => Power::Half,
        0.75 => Power::ThreeQuarters,
        1.0 => Power::One,
        beta => Power::Any(beta),
    };
    Box::new(Norm::new(desc.input, desc.output, Rule::LocalResponse(*desc, power), isa, threads))
}

/// The kernel of a layer normalisation; without `weight` and `bias` these are 1 and 0.
///
/// # Panics
/// If the sizes differ, the channels are not dense, or a vector's length is not the number of
/// channels.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_layer(
    desc: &LayerNormDesc,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    isa: Isa,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let vector = |values: Option<&[f32]>, default: f32| -> Result<Arc<AlignedBuf>> {
        let mut vector = AlignedBuf::resident(desc.input.channels, "a normalisation")?;
        match values {
            Some(values) => vector.copy_from_slice(values),
            None => vector.fill(default),
        }
        Ok(Arc::new(vector))
    };
    let rule = Rule::Layer { weight: vector(weight, 1.0)?, bias: vector(bias, 0.0)?, epsilon: desc.epsilon };
    Ok(Box::new(Norm::new(desc.input, desc.output, rule, isa, threads)))
}

enum Rule {
    LocalResponse(LocalResponseNormDesc, Power),
    Layer { weight: Arc<AlignedBuf>, bias: Arc<AlignedBuf>, epsilon: f32 },
    Length { epsilon: f32 },
}

/// Exponents that can be computed by square roots.
#[derive(Clone, Copy)]
enum Power {
    Half,
    ThreeQuarters,
    One,
    Any(f32),
}

/// A kernel that processes pixels one after the other.
struct Norm {
    input: FeatureMap,
    output: FeatureMap,
    rule: Rule,
    phases: Vec<usize>,
    isa: Isa,
}

const LOCAL_RESPONSE: Names<1> = names!("local_response_norm");
const NORMALIZE: Names<1> = names!("normalize");
const LAYER: Names<1> = names!("layer_norm");

impl Norm {
    fn new(input: FeatureMap, output: FeatureMap, rule: Rule, isa: Isa, threads: usize) -> Self {
        assert_eq!(input.view().shape, output.view().shape, "a normalisation keeps the shape");
        assert!(input.channels_last() && output.channels_last(), "a normalisation needs dense channels");
        let pixels = input.pixels();
        let phases = if pixels * input.channels == 0 { vec![] } else { vec![chunks_for(pixels, threads)] };
        Self { input, output, rule, phases, isa }
    }
}

impl Kernel for Norm {
    fn name(&self) -> &'static str {
        let names = match self.rule {
            Rule::LocalResponse(..) => &LOCAL_RESPONSE,
            Rule::Layer { .. } => &LAYER,
            Rule::Length { .. } => &NORMALIZE,
        };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        match &self.rule {
            // The squares of a pixel between zeros, so that windows need no edge cases, and one
            // more vector.
            Rule::LocalResponse(desc, _) => {
                ScratchSize::floats(0, desc.window() + desc.input.channels + 2 * self.isa.lanes())
            }
            Rule::Layer { .. } | Rule::Length { .. } => ScratchSize::default(),
        }
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Pixels {
            norm: self,
            range: even_range(self.input.pixels(), self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
            scratch: scratch.local(),
        });
    }
}

/// One chunk's pixels.
struct Pixels<'a> {
    norm: &'a Norm,
    range: std::ops::Range<usize>,
    input: *const f32,
    output: *mut f32,
    scratch: *mut f32,
}

impl Vectorized for Pixels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Norm { input, output, rule, .. } = self.norm;
        let [height, width] = [input.height, input.width];
        if let Rule::LocalResponse(desc, _) = rule {
            for i in 0..desc.window() + input.channels + 2 * S::LANES {
                // SAFETY: the scratch has this size.
                unsafe { *self.scratch.add(i) = 0.0 };
            }
        }
        for pixel in self.range {
            let (n, y, x) = (pixel / (height * width), pixel / width % height, pixel % width);
            // SAFETY: the pixel is inside both maps, whose channels are dense.
            unsafe {
                let (from, to) = (self.input.add(input.at(n, y, x)), self.output.add(output.at(n, y, x)));
                match rule {
                    Rule::LocalResponse(desc, power) => {
                        local_response(s, desc, *power, from, to, self.scratch);
                    }
                    Rule::Layer { weight, bias, epsilon } => {
                        layer(s, from, to, weight, bias, *epsilon);
                    }
                    Rule::Length { epsilon } => length(s, from, to, input.channels, *epsilon),
                }
            }
        }
    }
}

/// Computes one pixel. `squares` is zero before and after the pixel's squares.
///
/// # Safety
/// `from` must be valid for reading the channels, `to` for writing them, `squares` for
/// `window + channels + 2 * LANES` floats.
#[inline(always)]
unsafe fn local_response<S: Simd>(
    s: S,
    desc: &LocalResponseNormDesc,
    power: Power,
    from: *const f32,
    to: *mut f32,
    squares: *mut f32,
) {
    let channels = desc.input.channels;
    let before = desc.window() / 2;
    for c in (0..channels).step_by(S::LANES) {
        let n = S::LANES.min(channels - c);
        // SAFETY: n channels remain from c, with room for a vector after them. Its other lanes are
        // zero, as the memory after the squares must be.
        unsafe {
            let x = s.load_partial(from.add(c), n);
            s.store(squares.add(before + c), s.mul(x, x));
        }
    }
    let factor = desc.alpha / desc.size as f32;
    for c in (0..channels).step_by(S::LANES) {
        let n = S::LANES.min(channels - c);
        let mut sum = s.zero();
        for i in 0..desc.window() {
            // SAFETY: c + i + LANES is at most channels + LANES + the window.
            sum = s.add(sum, unsafe { s.load(squares.add(c + i)) });
        }
        let base = s.fma(sum, s.splat(factor), s.splat(desc.k));
        let root = s.sqrt(base);
        let divisor = match power {
            Power::Half => root,
            Power::ThreeQuarters => s.mul(root, s.sqrt(root)),
            Power::One => base,
            Power::Any(beta) => {
                let mut lanes = [0.0_f32; MOST_LANES];
                // SAFETY: no vector has more lanes.
                unsafe {
                    s.store(lanes.as_mut_ptr(), base);
                    for x in &mut lanes {
                        *x = x.powf(beta);
                    }
                    s.load(lanes.as_ptr())
                }
            }
        };
        // SAFETY: n channels remain from c.
        unsafe { s.store_partial(to.add(c), s.div(s.load_partial(from.add(c), n), divisor), n) };
    }
}

/// Computes one pixel: the mean, then the mean of the squared differences, then the result.
///
/// # Safety
/// `from` must be valid for reading as many floats as `weight` and `bias` have, `to` for writing
/// them.
#[inline(always)]
unsafe fn layer<S: Simd>(s: S, from: *const f32, to: *mut f32, weight: &[f32], bias: &[f32], epsilon: f32) {
    let channels = weight.len();
    let full = channels / S::LANES * S::LANES;
    let rest = channels - full;
    // SAFETY: here and below, full vectors end before the channels do, and `rest` channels remain.
    unsafe {
        let mut sum = s.load_partial(from.add(full), rest);
        for c in (0..full).step_by(S::LANES) {
            sum = s.add(sum, s.load(from.add(c)));
        }
        let mean = s.reduce_add(sum) / channels as f32;
        let centre = s.splat(mean);
        let mut squares = s.zero();
        for c in (0..full).step_by(S::LANES) {
            let d = s.sub(s.load(from.add(c)), centre);
            squares = s.fma(d, d, squares);
        }
        let mut variance = s.reduce_add(squares);
        for c in full..channels {
            variance += (*from.add(c) - mean).powi(2);
        }
        let scale = s.splat(1.0 / (variance / channels as f32 + epsilon).sqrt());
        let (weight, bias) = (weight.as_ptr(), bias.as_ptr());
        for c in (0..full).step_by(S::LANES) {
            let x = s.mul(s.sub(s.load(from.add(c)), centre), scale);
            s.store(to.add(c), s.fma(x, s.load(weight.add(c)), s.load(bias.add(c))));
        }
        if rest > 0 {
            let x = s.mul(s.sub(s.load_partial(from.add(full), rest), centre), scale);
            let (weight, bias) =
                (s.load_partial(weight.add(full), rest), s.load_partial(bias.add(full), rest));
            s.store_partial(to.add(full), s.fma(x, weight, bias), rest);
        }
    }
}

/// Divides one pixel by its Euclidean norm.
///
/// # Safety
/// `from` must be valid for reading `channels` floats, `to` for writing them.
#[inline(always)]
unsafe fn length<S: Simd>(s: S, from: *const f32, to: *mut f32, channels: usize, epsilon: f32) {
    let mut squares = s.zero();
    for c in (0..channels).step_by(S::LANES) {
        // SAFETY: here and below, this many channels remain from c.
        let x = unsafe { s.load_partial(from.add(c), S::LANES.min(channels - c)) };
        squares = s.fma(x, x, squares);
    }
    // NaN stays NaN: it is not below the least divisor.
    let length = s.reduce_add(squares).sqrt();
    let divisor = s.splat(if length < epsilon { epsilon } else { length });
    for c in (0..channels).step_by(S::LANES) {
        let n = S::LANES.min(channels - c);
        // SAFETY: as above.
        unsafe { s.store_partial(to.add(c), s.div(s.load_partial(from.add(c), n), divisor), n) };
    }
}

#[cfg(test)]
mod tests;
