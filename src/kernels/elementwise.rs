//! Elementwise operations: binary operations with torch's broadcasting, `where`, activations,
//! `PReLU`, and batch norms that are not fused into a convolution.
//!
//! One kernel implements all of them: a loop nest iterates over rows, and each operand of a row is
//! dense, one repeated value, or (rarely) strided and then gathered first. All of them are
//! elementwise, so no result depends on how the work is split.

use std::mem::MaybeUninit;
use std::sync::Arc;

use super::activation::{StoredRows, activate_cheap, activate_rows};
use super::math::transcendental::pow;
use super::math::{maximum, minimum};
use super::names::{Names, names};
use super::nest::Nest;
use super::{Io, Kernel, Scratch, even_range};
use crate::error::Result;
use crate::simd::{Isa, MOST_LANES, Simd, Vectorized};
pub use crate::tensor::BinaryOp;
use crate::tensor::{Activation, AlignedBuf, MAX_RANK, Shape, View};

/// An operand of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// A value in memory; its pointer is the next of [`Io::inputs`].
    View(View),
    /// A constant.
    Scalar(f32),
}

/// `output = activation(left op right)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryDesc {
    /// The operation.
    pub op: BinaryOp,
    /// The first input. Its shape broadcasts to the output's by torch's rules.
    pub left: View,
    /// The other operand. A view's shape broadcasts to the output's, too.
    pub right: Operand,
    /// `right op left` instead, as in `1 - x`.
    pub swapped: bool,
    /// What is written. It may share memory with an input of the same shape and strides.
    pub output: View,
    /// Applied to the result.
    pub activation: Activation,
}

/// `output = activation(condition ? left : right)`, torch's `where`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhereDesc {
    /// The first input: `left` is selected where it is not zero, including NaN. Its shape
    /// broadcasts to the output's by torch's rules, and so do the others'.
    pub condition: View,
    /// Selected where the condition is not zero.
    pub left: Operand,
    /// Selected elsewhere. The value of the other operand has no effect, even if it is NaN.
    pub right: Operand,
    /// What is written. It may share memory with an input of the same shape and strides.
    pub output: View,
    /// Applied to the result.
    pub activation: Activation,
}

/// `output = activation(input)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnaryDesc {
    /// What is read.
    pub input: View,
    /// What is written, of the same shape. It may share the input's memory if the strides agree.
    pub output: View,
    /// The function.
    pub activation: Activation,
}

/// Operations per channel. Dimension 1 is the channels, as in torch's
/// `BatchNorm2d` and `PReLU`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelDesc {
    /// What is read.
    pub input: View,
    /// What is written, of the same shape. It may share the input's memory if the strides agree.
    pub output: View,
    /// Applied to the result.
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
    let mut inputs = 1;
    let left = (Source::Input(0), desc.left.broadcast(shape).strides);
    let right = operand(desc.right, shape, &mut inputs)?;
    Ok(Elementwise::boxed(
        match (desc.op, desc.right) {
            (BinaryOp::Pow, Operand::Scalar(exponent)) if !desc.swapped => power_of(exponent),
            _ => Op::Binary(desc.op),
        },
        &desc.output,
        if desc.swapped { vec![right, left] } else { vec![left, right] },
        desc.activation,
        isa,
        threads,
    ))
}

/// The kernel of torch's `where`.
///
/// # Panics
/// If an operand does not broadcast to the output.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_where(desc: &WhereDesc, isa: Isa, threads: usize) -> Result<Box<dyn Kernel>> {
    let shape = desc.output.shape;
    let mut inputs = 1;
    let operands = vec![
        (Source::Input(0), desc.condition.broadcast(shape).strides),
        operand(desc.left, shape, &mut inputs)?,
        operand(desc.right, shape, &mut inputs)?,
    ];
    Ok(Elementwise::boxed(Op::Where, &desc.output, operands, desc.activation, isa, threads))
}

/// An operand of this shape. A view's pointer is the next of the `inputs`.
fn operand(operand: Operand, shape: Shape, inputs: &mut usize) -> Result<(Source, [usize; MAX_RANK])> {
    match operand {
        Operand::View(view) => {
            *inputs += 1;
            Ok((Source::Input(*inputs - 1), view.broadcast(shape).strides))
        }
        Operand::Scalar(x) => Ok((Source::constant(&[x])?, [0; MAX_RANK])),
    }
}

/// The operation for a constant power of x; torch's `pow` has the same special cases.
fn power_of(exponent: f32) -> Op {
    match exponent {
        0.5 => Op::Power(Power::Root),
        -0.5 => Op::Power(Power::InverseRoot),
        -1.0 => Op::Power(Power::Inverse),
        -2.0 => Op::Power(Power::InverseSquare),
        2.0 => Op::Power(Power::Square),
        3.0 => Op::Power(Power::Cube),
        _ => Op::Binary(BinaryOp::Pow),
    }
}

/// The kernel of a separate activation.
///
/// # Panics
/// If the shapes differ.
pub fn prepare_unary(desc: &UnaryDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let input = (Source::Input(0), desc.input.broadcast(desc.output.shape).strides);
    Elementwise::boxed(Op::Copy, &desc.output, vec![input], desc.activation, isa, threads)
}

/// The kernel of `activation(scale[c] * x + shift[c])`: a batch norm that is not fused into a
/// convolution.
///
/// # Panics
/// If the shapes differ, or the vectors' lengths are not the number of channels.
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

/// The kernel of torch's `PReLU`: x where positive, else `weight[c] * x`; a single weight applies
/// to all channels.
///
/// # Panics
/// If the shapes differ, or the number of weights is neither one nor that of the channels.
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

/// The operation on a row's operands before the activation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Copy,
    Binary(BinaryOp),
    Affine,
    Prelu,
    Where,
    Power(Power),
}

impl Op {
    /// Whether there is a loop with a fused `ReLU`.
    fn takes_relu(self) -> bool {
        match self {
            Self::Copy | Self::Affine | Self::Prelu => true,
            Self::Binary(op) => {
                use BinaryOp::{Add, Div, Maximum, Minimum, Mul, Sub};
                matches!(op, Add | Sub | Mul | Div | Maximum | Minimum)
            }
            Self::Where | Self::Power(_) => false,
        }
    }
}

/// Powers that take one or two instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Power {
    Root,
    InverseRoot,
    Inverse,
    InverseSquare,
    Square,
    Cube,
}

/// The source of an operand.
enum Source {
    Input(usize),
    Constant(Arc<AlignedBuf>),
}

impl Source {
    fn constant(values: &[f32]) -> Result<Self> {
        Ok(Self::Constant(Arc::new(AlignedBuf::from_slice(values, "an operand")?)))
    }
}

/// The largest number of operands of an [`Op`].
const OPERANDS: usize = 3;

struct Elementwise {
    op: Op,
    activation: Activation,
    sources: Vec<Source>,
    /// The output, then the operands; missing ones repeat the first.
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
            Op::Binary(BinaryOp::Pow) | Op::Power(_) => &POW,
            Op::Binary(BinaryOp::Greater) => &GREATER,
            Op::Binary(BinaryOp::GreaterEqual) => &GREATER_EQUAL,
            Op::Binary(BinaryOp::Less) => &LESS,
            Op::Binary(BinaryOp::LessEqual) => &LESS_EQUAL,
            Op::Binary(BinaryOp::Equal) => &EQUAL,
            Op::Binary(BinaryOp::NotEqual) => &NOT_EQUAL,
            Op::Where => &WHERE,
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
const POW: Names<1> = names!("pow");
const GREATER: Names<1> = names!("gt");
const GREATER_EQUAL: Names<1> = names!("ge");
const LESS: Names<1> = names!("lt");
const LESS_EQUAL: Names<1> = names!("le");
const EQUAL: Names<1> = names!("eq");
const NOT_EQUAL: Names<1> = names!("ne");
const WHERE: Names<1> = names!("where");
const AFFINE: Names<1> = names!("affine");
const PRELU: Names<1> = names!("prelu");

/// One chunk's rows.
struct Rows<'a> {
    kernel: &'a Elementwise,
    pieces: std::ops::Range<usize>,
    output: *mut f32,
    operands: [*const f32; OPERANDS],
}

/// A row's operand: `step` is 1 for a dense one, 0 for one vector that is used for the whole row.
#[derive(Clone, Copy)]
struct Lane {
    ptr: *const f32,
    step: usize,
}

impl Lane {
    /// The address of the operand's element `i`.
    #[inline(always)]
    fn at(self, i: usize) -> *const f32 {
        self.ptr.wrapping_add(i * self.step)
    }
}

/// A piece of a row that is not dense.
type Staged = [MaybeUninit<f32>; Nest::<1>::PIECE];

/// One value in every lane of the widest vector.
type Splat = [f32; MOST_LANES];

impl Vectorized for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Elementwise { op, activation, ref nest, .. } = *self.kernel;
        let strides = nest.inner().strides;
        let mut staged: [Staged; OPERANDS + 1] = [[MaybeUninit::uninit(); Nest::<1>::PIECE]; OPERANDS + 1];
        let mut splats: [Splat; OPERANDS] = [[0.0; MOST_LANES]; OPERANDS];
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
                        splats[k] = [unsafe { *ptr }; MOST_LANES];
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

/// Computes a dense output row.
///
/// # Safety
/// `out` must be valid for writing `len` floats, each lane for reading as many, or a vector's if
/// its step is 0.
#[inline(always)]
unsafe fn finish_row<S: Simd>(
    s: S,
    op: Op,
    activation: Activation,
    out: *mut f32,
    lanes: [Lane; OPERANDS],
    len: usize,
) {
    // ReLU is applied in registers, since networks have batch norms before it; other activations
    // are applied to the row while it is in the first-level cache. One loop per operation, in which
    // it is a constant. SAFETY: the caller's contract.
    unsafe {
        if activation == Activation::Relu && op.takes_relu() {
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
            // Operations without a fused ReLU have only one loop.
            op if !RELU => rare_op(s, op, out, lanes, len),
            _ => unreachable!("an operation without ReLU"),
        }
    }
}

/// The operations that few networks use.
///
/// # Safety
/// As [`finish_row`].
#[inline(always)]
unsafe fn rare_op<S: Simd>(s: S, op: Op, out: *mut f32, lanes: [Lane; OPERANDS], len: usize) {
    use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual, Pow};
    use Power::{Cube, Inverse, InverseRoot, InverseSquare, Root, Square};
    // SAFETY: the caller's contract.
    unsafe {
        match op {
            Op::Where => row::<S, false>(s, Op::Where, out, lanes, len),
            Op::Binary(Pow) => row::<S, false>(s, Op::Binary(Pow), out, lanes, len),
            Op::Binary(Greater) => row::<S, false>(s, Op::Binary(Greater), out, lanes, len),
            Op::Binary(GreaterEqual) => row::<S, false>(s, Op::Binary(GreaterEqual), out, lanes, len),
            Op::Binary(Less) => row::<S, false>(s, Op::Binary(Less), out, lanes, len),
            Op::Binary(LessEqual) => row::<S, false>(s, Op::Binary(LessEqual), out, lanes, len),
            Op::Binary(Equal) => row::<S, false>(s, Op::Binary(Equal), out, lanes, len),
            Op::Binary(NotEqual) => row::<S, false>(s, Op::Binary(NotEqual), out, lanes, len),
            Op::Power(Root) => row::<S, false>(s, Op::Power(Root), out, lanes, len),
            Op::Power(InverseRoot) => row::<S, false>(s, Op::Power(InverseRoot), out, lanes, len),
            Op::Power(Inverse) => row::<S, false>(s, Op::Power(Inverse), out, lanes, len),
            Op::Power(InverseSquare) => row::<S, false>(s, Op::Power(InverseSquare), out, lanes, len),
            Op::Power(Square) => row::<S, false>(s, Op::Power(Square), out, lanes, len),
            Op::Power(Cube) => row::<S, false>(s, Op::Power(Cube), out, lanes, len),
            _ => unreachable!("a common operation"),
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
        Op::Binary(BinaryOp::Pow) => pow(s, a, b),
        Op::Binary(BinaryOp::Greater) => s.select_gt(a, b, s.splat(1.0), s.zero()),
        Op::Binary(BinaryOp::Less) => s.select_gt(b, a, s.splat(1.0), s.zero()),
        Op::Binary(BinaryOp::GreaterEqual) => s.select_gt(b, a, s.zero(), ordered(s, a, b)),
        Op::Binary(BinaryOp::LessEqual) => s.select_gt(a, b, s.zero(), ordered(s, a, b)),
        Op::Binary(BinaryOp::Equal) => equal(s, a, b),
        Op::Binary(BinaryOp::NotEqual) => s.sub(s.splat(1.0), equal(s, a, b)),
        Op::Where => {
            let not_below = s.select_gt(a, s.zero(), b, s.select_nan(a, b, c));
            s.select_gt(s.zero(), a, b, not_below)
        }
        Op::Power(Power::Root) => s.sqrt(a),
        Op::Power(Power::InverseRoot) => s.div(s.splat(1.0), s.sqrt(a)),
        Op::Power(Power::Inverse) => s.div(s.splat(1.0), a),
        Op::Power(Power::InverseSquare) => s.div(s.splat(1.0), s.mul(a, a)),
        Op::Power(Power::Square) => s.mul(a, a),
        Op::Power(Power::Cube) => s.mul(s.mul(a, a), a),
    };
    if RELU { activate_cheap(s, Activation::Relu, x) } else { x }
}

/// 1 where neither operand is NaN, else 0.
#[inline(always)]
fn ordered<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    s.select_nan(a, s.zero(), s.select_nan(b, s.zero(), s.splat(1.0)))
}

/// 1 where both operands are equal, else 0.
#[inline(always)]
fn equal<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    s.select_gt(a, b, s.zero(), s.select_gt(b, a, s.zero(), ordered(s, a, b)))
}

#[cfg(test)]
mod tests;
