//! Arithmetic of values element by element: binary operations with torch's broadcasting,
//! activations, `PReLU`, and batch norm where no convolution took it over.
//!
//! One kernel does them all: a loop nest hands out rows, and each operand of a row is dense, one
//! repeated value, or (rarely) strided and then gathered first. All of them are defined element by
//! element, so no result depends on how the work is cut.

use std::mem::MaybeUninit;
use std::sync::Arc;

use super::activation::{StoredRows, activate_cheap, activate_rows};
use super::math::{maximum, minimum};
use super::names::{Names, names};
use super::nest::Nest;
use super::{Io, Kernel, Scratch, even_range};
use crate::error::Result;
use crate::simd::{Isa, Simd, Vectorized};
pub use crate::tensor::BinaryOp;
use crate::tensor::{Activation, AlignedBuf, MAX_RANK, View};

/// The second operand of a binary operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// A value; its pointer is the second of [`Io::inputs`].
    View(View),
    /// A constant.
    Scalar(f32),
}

/// `output = activation(left op right)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryDesc {
    /// What is done.
    pub op: BinaryOp,
    /// The first input. Its shape broadcasts to the output's by torch's rules.
    pub left: View,
    /// The other operand. A view's shape broadcasts to the output's, too.
    pub right: Operand,
    /// `right op left` instead, as in `1 - x`.
    pub swapped: bool,
    /// What is written. It may lie on an input of the same shape and strides.
    pub output: View,
    /// Of the result.
    pub activation: Activation,
}

/// `output = activation(input)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnaryDesc {
    /// What is read.
    pub input: View,
    /// What is written, of the same shape. It may lie on the input if the strides agree.
    pub output: View,
    /// The function.
    pub activation: Activation,
}

/// Dimension 1 is the channels, as in torch's `BatchNorm2d` and `PReLU`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelDesc {
    /// What is read.
    pub input: View,
    /// What is written, of the same shape. It may lie on the input if the strides agree.
    pub output: View,
    /// Of the result.
    pub activation: Activation,
}

/// The kernel of a binary operation.
///
/// # Panics
/// If an operand does not broadcast to the output.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_binary(desc: &BinaryDesc, isa: Isa, threads: usize) -> Result<Box<dyn Kernel>> {
    let shape = desc.output.shape;
    let left = (Source::Input(0), desc.left.broadcast(shape).strides);
    let right = match desc.right {
        Operand::View(view) => (Source::Input(1), view.broadcast(shape).strides),
        Operand::Scalar(x) => (Source::constant(&[x])?, [0; MAX_RANK]),
    };
    Ok(Elementwise::boxed(
        Op::Binary(desc.op),
        &desc.output,
        if desc.swapped { vec![right, left] } else { vec![left, right] },
        desc.activation,
        isa,
        threads,
    ))
}

/// The kernel of an activation alone.
///
/// # Panics
/// If the shapes differ.
pub fn prepare_unary(desc: &UnaryDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let input = (Source::Input(0), desc.input.broadcast(desc.output.shape).strides);
    Elementwise::boxed(Op::Copy, &desc.output, vec![input], desc.activation, isa, threads)
}

/// The kernel of `activation(scale[c] * x + shift[c])`: a batch norm that no convolution took over.
///
/// # Panics
/// If the shapes differ, or the vectors' lengths are not the channels.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_affine(
    desc: &ChannelDesc,
    scale: &[f32],
    shift: &[f32],
    isa: Isa,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let shape = desc.output.shape;
    assert_eq!([scale.len(), shift.len()], [shape[1]; 2], "one value per channel of {shape}");
    let operands = vec![
        (Source::Input(0), desc.input.broadcast(shape).strides),
        (Source::constant(scale)?, channel_strides(1)),
        (Source::constant(shift)?, channel_strides(1)),
    ];
    Ok(Elementwise::boxed(Op::Affine, &desc.output, operands, desc.activation, isa, threads))
}

/// The kernel of torch's `PReLU`: x where positive, else `weight[c] * x`; one weight serves all
/// channels.
///
/// # Panics
/// If the shapes differ, or there are neither one weight nor as many as channels.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_prelu(
    desc: &ChannelDesc,
    weight: &[f32],
    isa: Isa,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let shape = desc.output.shape;
    assert!(weight.len() == 1 || weight.len() == shape[1], "one value, or one per channel of {shape}");
    let operands = vec![
        (Source::Input(0), desc.input.broadcast(shape).strides),
        (Source::constant(weight)?, channel_strides(usize::from(weight.len() > 1))),
    ];
    Ok(Elementwise::boxed(Op::Prelu, &desc.output, operands, desc.activation, isa, threads))
}

/// Strides of a vector of channels.
fn channel_strides(step: usize) -> [usize; MAX_RANK] {
    let mut strides = [0; MAX_RANK];
    strides[1] = step;
    strides
}

/// What a row's operands become before the activation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Copy,
    Binary(BinaryOp),
    Affine,
    Prelu,
}

/// Where an operand comes from.
enum Source {
    Input(usize),
    Constant(Arc<AlignedBuf>),
}

impl Source {
    fn constant(values: &[f32]) -> Result<Self> {
        Ok(Self::Constant(Arc::new(AlignedBuf::from_slice(values, "an operand")?)))
    }
}

/// The most operands that an [`Op`] reads.
const OPERANDS: usize = 3;

struct Elementwise {
    op: Op,
    activation: Activation,
    sources: Vec<Source>,
    /// The output, then the operands; those that the operation does not have repeat the first.
    nest: Nest<{ OPERANDS + 1 }>,
    phases: Vec<usize>,
    isa: Isa,
}

impl Elementwise {
    fn boxed(
        op: Op,
        output: &View,
        operands: Vec<(Source, [usize; MAX_RANK])>,
        activation: Activation,
        isa: Isa,
        threads: usize,
    ) -> Box<dyn Kernel> {
        let rank = output.shape.rank();
        let strides: [&[usize]; OPERANDS + 1] = std::array::from_fn(|k| match k {
            0 => output.strides(),
            k => &operands.get(k - 1).unwrap_or(&operands[0]).1[..rank],
        });
        let nest = Nest::new(output.shape, strides);
        let phases = nest.phases(1, threads);
        let sources = operands.into_iter().map(|(source, _)| source).collect();
        Box::new(Self { op, activation, sources, nest, phases, isa })
    }
}

impl Kernel for Elementwise {
    fn name(&self) -> &'static str {
        let names = match self.op {
            Op::Copy => &UNARY,
            Op::Binary(BinaryOp::Add) => &ADD,
            Op::Binary(BinaryOp::Sub) => &SUB,
            Op::Binary(BinaryOp::Mul) => &MUL,
            Op::Binary(BinaryOp::Div) => &DIV,
            Op::Binary(BinaryOp::Maximum) => &MAXIMUM,
            Op::Binary(BinaryOp::Minimum) => &MINIMUM,
            Op::Affine => &AFFINE,
            Op::Prelu => &PRELU,
        };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        let operand = |source: &Source| match source {
            Source::Input(i) => io.inputs[*i],
            Source::Constant(values) => values.as_ptr(),
        };
        let first = operand(&self.sources[0]);
        self.isa.dispatch(Rows {
            kernel: self,
            pieces: even_range(self.nest.pieces(), self.phases[phase], chunk),
            output: io.output,
            operands: std::array::from_fn(|k| self.sources.get(k).map_or(first, operand)),
        });
    }
}

const UNARY: Names<1> = names!("activation");
const ADD: Names<1> = names!("add");
const SUB: Names<1> = names!("sub");
const MUL: Names<1> = names!("mul");
const DIV: Names<1> = names!("div");
const MAXIMUM: Names<1> = names!("maximum");
const MINIMUM: Names<1> = names!("minimum");
const AFFINE: Names<1> = names!("affine");
const PRELU: Names<1> = names!("prelu");

/// One chunk's rows.
struct Rows<'a> {
    kernel: &'a Elementwise,
    pieces: std::ops::Range<usize>,
    output: *mut f32,
    operands: [*const f32; OPERANDS],
}

/// A row's operand: `step` is 1 for a dense one, 0 for one vector that is used all along.
#[derive(Clone, Copy)]
struct Lane {
    ptr: *const f32,
    step: usize,
}

impl Lane {
    /// Where the operand's element `i` is.
    #[inline(always)]
    fn at(self, i: usize) -> *const f32 {
        self.ptr.wrapping_add(i * self.step)
    }
}

/// A piece of a row that does not lie densely.
type Staged = [MaybeUninit<f32>; Nest::<1>::PIECE];

/// One value in every lane of the widest vector.
type Splat = [f32; 16];

impl Vectorized for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Elementwise { op, activation, ref nest, .. } = *self.kernel;
        let strides = nest.inner().strides;
        let mut staged: [Staged; OPERANDS + 1] = [[MaybeUninit::uninit(); Nest::<1>::PIECE]; OPERANDS + 1];
        let mut splats: [Splat; OPERANDS] = [[0.0; 16]; OPERANDS];
        for (at, len) in nest.walk(self.pieces) {
            let [staged_out, staged_in @ ..] = &mut staged;
            let mut lanes = [Lane { ptr: std::ptr::null(), step: 0 }; OPERANDS];
            for k in 0..OPERANDS {
                // SAFETY: the nest stays inside the operand's view.
                let ptr = unsafe { self.operands[k].add(at[k + 1]) };
                lanes[k] = match strides[k + 1] {
                    1 => Lane { ptr, step: 1 },
                    0 => {
                        // SAFETY: as above.
                        splats[k] = [unsafe { *ptr }; 16];
                        Lane { ptr: splats[k].as_ptr(), step: 0 }
                    }
                    stride => {
                        for (i, x) in staged_in[k][..len].iter_mut().enumerate() {
                            // SAFETY: as above, for each of the piece's elements.
                            x.write(unsafe { *ptr.add(i * stride) });
                        }
                        Lane { ptr: staged_in[k].as_ptr().cast(), step: 1 }
                    }
                };
            }
            // SAFETY: the nest stays inside the output view; a row's operands are valid for `len`
            // elements, or for one vector with step 0.
            unsafe {
                let out = self.output.add(at[0]);
                if strides[0] == 1 {
                    finish_row(s, op, activation, out, lanes, len);
                } else {
                    finish_row(s, op, activation, staged_out.as_mut_ptr().cast(), lanes, len);
                    for (i, x) in staged_out[..len].iter().enumerate() {
                        *out.add(i * strides[0]) = x.assume_init();
                    }
                }
            }
        }
    }
}

/// A dense output row.
///
/// # Safety
/// `out` must be valid for writing `len` floats, each lane for reading as many, or a vector's
/// where its step is 0.
#[inline(always)]
unsafe fn finish_row<S: Simd>(
    s: S,
    op: Op,
    activation: Activation,
    out: *mut f32,
    lanes: [Lane; OPERANDS],
    len: usize,
) {
    // ReLU in registers, since a batch norm in front of it is what networks have; the others go
    // over the row while it is in the nearest cache. One loop each, in which the operation is known.
    // SAFETY: the caller's contract.
    unsafe {
        if activation == Activation::Relu {
            each_op::<S, true>(s, op, out, lanes, len);
        } else {
            each_op::<S, false>(s, op, out, lanes, len);
            activate_rows(S::ISA, StoredRows::Every { first: out, stride: 0, count: 1 }, len, activation);
        }
    }
}

/// # Safety
/// As [`finish_row`].
#[inline(always)]
unsafe fn each_op<S: Simd, const RELU: bool>(
    s: S,
    op: Op,
    out: *mut f32,
    lanes: [Lane; OPERANDS],
    len: usize,
) {
    use BinaryOp::{Add, Div, Maximum, Minimum, Mul, Sub};
    // SAFETY: the caller's contract.
    unsafe {
        match op {
            Op::Copy => row::<S, RELU>(s, Op::Copy, out, lanes, len),
            Op::Affine => row::<S, RELU>(s, Op::Affine, out, lanes, len),
            Op::Prelu => row::<S, RELU>(s, Op::Prelu, out, lanes, len),
            Op::Binary(Add) => row::<S, RELU>(s, Op::Binary(Add), out, lanes, len),
            Op::Binary(Sub) => row::<S, RELU>(s, Op::Binary(Sub), out, lanes, len),
            Op::Binary(Mul) => row::<S, RELU>(s, Op::Binary(Mul), out, lanes, len),
            Op::Binary(Div) => row::<S, RELU>(s, Op::Binary(Div), out, lanes, len),
            Op::Binary(Maximum) => row::<S, RELU>(s, Op::Binary(Maximum), out, lanes, len),
            Op::Binary(Minimum) => row::<S, RELU>(s, Op::Binary(Minimum), out, lanes, len),
        }
    }
}

/// # Safety
/// As [`finish_row`].
#[inline(always)]
unsafe fn row<S: Simd, const RELU: bool>(s: S, op: Op, out: *mut f32, lanes: [Lane; OPERANDS], len: usize) {
    let full = len / S::LANES * S::LANES;
    for i in (0..full).step_by(S::LANES) {
        // SAFETY: i + LANES <= len.
        unsafe {
            let [a, b, c] = [lanes[0].at(i), lanes[1].at(i), lanes[2].at(i)];
            let operands = [s.load(a), s.load(b), s.load(c)];
            s.store(out.add(i), combine::<S, RELU>(s, op, operands));
        }
    }
    let rest = len - full;
    if rest > 0 {
        // SAFETY: the rest is inside the row and shorter than a vector.
        unsafe {
            let [a, b, c] = [lanes[0].at(full), lanes[1].at(full), lanes[2].at(full)];
            let operands = [s.load_partial(a, rest), s.load_partial(b, rest), s.load_partial(c, rest)];
            s.store_partial(out.add(full), combine::<S, RELU>(s, op, operands), rest);
        }
    }
}

#[inline(always)]
fn combine<S: Simd, const RELU: bool>(s: S, op: Op, [a, b, c]: [S::F32; OPERANDS]) -> S::F32 {
    let x = match op {
        Op::Copy => a,
        Op::Affine => s.fma(a, b, c),
        Op::Prelu => s.select_gt(a, s.zero(), a, s.mul(a, b)),
        Op::Binary(BinaryOp::Add) => s.add(a, b),
        Op::Binary(BinaryOp::Sub) => s.sub(a, b),
        Op::Binary(BinaryOp::Mul) => s.mul(a, b),
        Op::Binary(BinaryOp::Div) => s.div(a, b),
        Op::Binary(BinaryOp::Maximum) => maximum(s, a, b),
        Op::Binary(BinaryOp::Minimum) => minimum(s, a, b),
    };
    if RELU { activate_cheap(s, Activation::Relu, x) } else { x }
}

#[cfg(test)]
mod tests;
