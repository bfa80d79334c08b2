//! One axis of a resizing: the input pixels and weights of each output pixel.
//!
//! Positions are computed in single precision with the same rounding as torch's CPU kernels: near a
//! border between two pixels the rounding decides which one is nearest, and at the far end of a
//! large map it changes the weights' last digits.

use super::desc::{ResizeDesc, ResizeMode};
use crate::error::Result;
use crate::tensor::reserved;

/// An input pixel and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tap {
    pub(super) index: usize,
    pub(super) weight: f32,
}

/// The taps of all output pixels, concatenated.
pub(super) struct Axis {
    pub(super) taps: Vec<Tap>,
    /// Where each output pixel's taps begin, and where the last ones end.
    starts: Vec<usize>,
}

/// The parameter of cubic convolution, and that of its antialiased variant.
const CUBIC: f32 = -0.75;
const CUBIC_ANTIALIAS: f32 = -0.5;

/// The radii of the antialiasing filters, in pixels of the smaller picture.
const LINEAR_RADIUS: f32 = 1.0;
const CUBIC_RADIUS: f32 = 2.0;

impl Axis {
    /// The vertical axis for `i` = 0, the horizontal one for 1.
    pub(super) fn new(desc: &ResizeDesc, i: usize) -> Result<Self> {
        let input = [desc.input.height, desc.input.width][i];
        let output = [desc.output.height, desc.output.width][i];
        let align_corners = match desc.mode {
            ResizeMode::Nearest | ResizeMode::NearestExact => false,
            ResizeMode::Linear { align_corners, .. } | ResizeMode::Cubic { align_corners, .. } => {
                align_corners
            }
        };
        let scale = match desc.scale_factors[i] {
            _ if align_corners && output > 1 => (input - 1) as f32 / (output - 1) as f32,
            _ if align_corners => 0.0,
            Some(factor) if factor > 0.0 => (1.0 / factor) as f32,
            _ => input as f32 / output as f32,
        };
        let positions = Positions { input, output, scale, align_corners };
        let what = "a resizing's weights";
        let most = match desc.mode {
            ResizeMode::Nearest | ResizeMode::NearestExact => 1,
            ResizeMode::Linear { antialias: false, .. } => 2,
            ResizeMode::Cubic { antialias: false, .. } => 4,
            ResizeMode::Linear { .. } => positions.window(LINEAR_RADIUS).min(input),
            ResizeMode::Cubic { .. } => positions.window(CUBIC_RADIUS).min(input),
        };
        let mut taps = reserved(output.saturating_mul(most), what)?;
        let mut starts = reserved(output + 1, what)?;
        starts.push(0);
        // An empty input has no pixels, and neither has its output.
        for o in 0..if input == 0 { 0 } else { output } {
            match desc.mode {
                ResizeMode::Nearest => taps.push(positions.nearest(o, 0.0)),
                ResizeMode::NearestExact => taps.push(positions.nearest(o, 0.5)),
                ResizeMode::Linear { antialias: true, .. } => {
                    positions.window_of(o, LINEAR_RADIUS, triangle, &mut taps);
                }
                ResizeMode::Cubic { antialias: true, .. } => {
                    positions.window_of(o, CUBIC_RADIUS, cubic_antialias, &mut taps);
                }
                ResizeMode::Linear { .. } => taps.extend(positions.linear(o)),
                ResizeMode::Cubic { .. } => taps.extend(positions.cubic(o)),
            }
            starts.push(taps.len());
        }
        Ok(Self { taps, starts })
    }

    /// An output pixel's taps.
    #[inline]
    pub(super) fn of(&self, o: usize) -> &[Tap] {
        &self.taps[self.starts[o]..self.starts[o + 1]]
    }
}

/// The positions of output pixels in the input.
struct Positions {
    input: usize,
    output: usize,
    /// Input pixels per output pixel.
    scale: f32,
    align_corners: bool,
}

impl Positions {
    /// The pixel at this fraction of the output pixel's area.
    fn nearest(&self, o: usize, part: f32) -> Tap {
        let index = if self.input == self.output {
            // A given factor has no effect in this case.
            o
        } else {
            (((o as f32 + part) * self.scale).floor() as usize).min(self.input - 1)
        };
        Tap { index, weight: 1.0 }
    }

    /// The output pixel's centre, relative to the first input pixel's.
    fn middle(&self, o: usize) -> f32 {
        if self.align_corners {
            self.scale * o as f32
        } else {
            // Rounded once, as in torch's builds.
            self.scale.mul_add(o as f32 + 0.5, -0.5)
        }
    }

    /// The pixel before a position, and the position's fraction of the way to the next one.
    fn split(&self, position: f32) -> (isize, f32) {
        let before = (position.floor() as isize).min(self.input as isize - 1);
        (before, (position - before as f32).clamp(0.0, 1.0))
    }

    fn linear(&self, o: usize) -> [Tap; 2] {
        if self.input == self.output {
            return [Tap { index: o, weight: 1.0 }, Tap { index: o, weight: 0.0 }];
        }
        let (before, part) = self.split(self.middle(o).max(0.0));
        let index = before as usize;
        // Two taps at the border, too: a product of zero and infinity is NaN, as in torch.
        let next = (index + 1).min(self.input - 1);
        [Tap { index, weight: 1.0 - part }, Tap { index: next, weight: part }]
    }

    fn cubic(&self, o: usize) -> [Tap; 4] {
        let (before, part) = self.split(self.middle(o));
        let weights = [
            far(part + 1.0, CUBIC),
            near(part, CUBIC),
            near(1.0 - part, CUBIC),
            far(1.0 - part + 1.0, CUBIC),
        ];
        let last = self.input as isize - 1;
        let mut taps = [Tap { index: 0, weight: 0.0 }; 4];
        for (j, (tap, weight)) in taps.iter_mut().zip(weights).enumerate() {
            *tap = Tap { index: (before + j as isize - 1).clamp(0, last) as usize, weight };
        }
        taps
    }

    /// The support of an antialiasing filter of this radius.
    fn support(&self, radius: f32) -> f32 {
        if self.scale >= 1.0 { radius * self.scale } else { radius }
    }

    /// The largest number of taps of such a filter.
    fn window(&self, radius: f32) -> usize {
        2 * self.support(radius).ceil() as usize + 1
    }

    /// The taps of an antialiasing filter.
    fn window_of(&self, o: usize, radius: f32, filter: fn(f32) -> f32, taps: &mut Vec<Tap>) {
        if self.input == self.output {
            // torch skips such an axis.
            taps.push(Tap { index: o, weight: 1.0 });
            return;
        }
        let support = self.support(radius);
        let centre = (f64::from(self.scale) * (o as f64 + 0.5)) as f32;
        let shrink = if self.scale >= 1.0 { (1.0 / f64::from(self.scale)) as f32 } else { 1.0 };
        // Casts truncate towards zero, and negative values become zero.
        let first = ((f64::from(centre - support) + 0.5) as usize).min(self.input);
        let end = ((f64::from(centre + support) + 0.5) as usize).min(self.input);
        let size = end.saturating_sub(first).min(self.window(radius));
        let start = taps.len();
        let mut total = 0.0;
        for index in first..first + size {
            let distance = (f64::from(index as f32 - centre) + 0.5) * f64::from(shrink);
            let weight = filter(distance as f32);
            taps.push(Tap { index, weight });
            total += weight;
        }
        if total != 0.0 {
            taps[start..].iter_mut().for_each(|tap| tap.weight /= total);
        }
    }
}

/// 1 at zero, 0 from one.
fn triangle(x: f32) -> f32 {
    (1.0 - x.abs()).max(0.0)
}

/// Cubic convolution's kernel, for any x.
fn cubic_antialias(x: f32) -> f32 {
    match x.abs() {
        x if x < 1.0 => near(x, CUBIC_ANTIALIAS),
        x if x < 2.0 => far(x, CUBIC_ANTIALIAS),
        _ => 0.0,
    }
}

/// Cubic convolution's kernel for x in 0..1.
fn near(x: f32, a: f32) -> f32 {
    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
}

/// Cubic convolution's kernel for x in 1..2.
fn far(x: f32, a: f32) -> f32 {
    ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
}
