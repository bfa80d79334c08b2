use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::PrologueDesc;
use crate::kernels::conv::Prologue;
use crate::kernels::conv::{ConvDesc, Padding};
use crate::kernels::elementwise::{self, BinaryDesc, BinaryOp, ChannelDesc, Operand};
use crate::kernels::reference::{Expected, conv_f64};
use crate::kernels::testing::{
    ConvProblem, ConvRanges, Guarded, filled, for_problems, gapped, offsets, run_reversed, uniform,
};
use crate::kernels::{Io, Kernel};
use crate::simd::Isa;
use crate::tensor::{Activation, ElementType, FeatureMap};

/// The prologue of a problem's convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Affine { relu: bool },
    Gate,
}

const KINDS: [Kind; 3] = [Kind::Affine { relu: true }, Kind::Affine { relu: false }, Kind::Gate];

/// A convolution after a prologue, whose values follow from the problem's seed.
struct Case<'a> {
    problem: &'a ConvProblem,
    kind: Kind,
    /// The gate's values as a map of one pixel per picture.
    gate: FeatureMap,
}

impl<'a> Case<'a> {
    fn new(problem: &'a ConvProblem, kind: Kind) -> Self {
        let FeatureMap { batch, channels, .. } = problem.desc.input;
        let gap = problem.seed as usize % 3;
        Self { problem, kind, gate: gapped(FeatureMap::nhwc(batch, 1, 1, channels), [gap; 3]) }
    }

    fn vector(&self, seed: u64) -> Vec<f32> {
        (0..self.problem.desc.input.channels).map(|c| uniform(self.problem.seed + seed, c)).collect()
    }

    fn prologue(&self) -> Prologue {
        match self.kind {
            Kind::Affine { relu } => Prologue::affine(&self.vector(7), &self.vector(8), relu).unwrap(),
            Kind::Gate => Prologue::Gate { image_stride: self.gate.image_stride },
        }
    }

    /// The gate's memory.
    fn further(&self) -> Option<Guarded> {
        (self.kind == Kind::Gate).then(|| filled(self.gate, self.problem.seed + 9))
    }

    fn input(&self) -> Guarded {
        filled(self.problem.desc.input, self.problem.seed)
    }

    /// The separate pass that the prologue replaces.
    fn pass(&self, isa: Isa) -> Box<dyn Kernel> {
        let view = self.problem.desc.input.view();
        match self.kind {
            Kind::Affine { relu } => {
                let activation = if relu { Activation::Relu } else { Activation::Identity };
                let desc = ChannelDesc { input: view, output: view, activation };
                elementwise::prepare_affine(&desc, &self.vector(7), &self.vector(8), isa, 1).unwrap()
            }
            Kind::Gate => {
                let desc = BinaryDesc {
                    op: BinaryOp::Mul,
                    left: view,
                    right: Operand::View(self.gate.view()),
                    swapped: false,
                    output: view,
                    activation: Activation::Identity,
                };
                elementwise::prepare_binary(&desc, isa, 1).unwrap()
            }
        }
    }

    /// The prologue's output as computed by the separate pass.
    fn changed(&self, isa: Isa) -> Guarded {
        let mut changed = Guarded::poisoned(self.problem.desc.input.view().end());
        let (input, further) = (self.input(), self.further());
        let inputs: Vec<_> = [&input].into_iter().chain(&further).map(|memory| memory.as_ptr()).collect();
        // SAFETY: the memory matches the descriptor, and nothing else uses it.
        unsafe { run_reversed(&*self.pass(isa), &Io { inputs: &inputs, output: changed.as_mut_ptr() }) };
        changed
    }

    /// The expected result, by the definitions.
    fn expected(&self) -> Expected {
        let problem = self.problem;
        let map = problem.desc.input;
        let (mut input, further) = (self.input(), self.further());
        let [scale, shift] = [7, 8].map(|seed| self.vector(seed));
        for (i, at) in offsets(map).enumerate() {
            let (c, n) = (i % map.channels, i / (map.height * map.width * map.channels));
            let x = f64::from(input[at]);
            let changed = match self.kind {
                Kind::Affine { relu } => {
                    let y = x * f64::from(scale[c]) + f64::from(shift[c]);
                    if relu { y.max(0.0) } else { y }
                }
                Kind::Gate => x * f64::from(further.as_ref().unwrap()[self.gate.at(n, 0, 0) + c]),
            };
            input[at] = changed as f32;
        }
        let residual = problem.desc.residual.map(|map| filled(map, problem.seed + 4));
        conv_f64(&problem.desc, &input, &problem.weights(), &problem.epilogue(), residual.as_deref())
    }

    /// The kernel gives the bits of the two separate kernels, with any number of threads, and these
    /// match the definitions.
    fn check(&self) -> TestCaseResult {
        let problem = self.problem;
        let Expected { values, magnitudes } = self.expected();
        let bound = 2e-6 * magnitudes.iter().fold(0.0, |a: f64, &b| a.max(b));
        for isa in Isa::available() {
            let Some(part) = PrologueDesc::part(&problem.desc, isa) else { continue };
            let packed = problem.pack(part);
            let alone = (part.prepare)(&problem.desc, packed.clone(), problem.epilogue(), 1).unwrap();
            let apart = problem.run_kernel(&*alone, self.changed(isa));
            for threads in [1, 2, 3] {
                let desc = PrologueDesc { conv: problem.desc, prologue: self.prologue() };
                let kernel = desc.prepare(packed.clone(), problem.epilogue(), isa, threads).unwrap();
                prop_assert_eq!(kernel.name(), alone.name().replace("igemm", "prologue_igemm"));
                let found = problem.run_with(&*kernel, self.input(), self.further().as_ref());
                for (i, (&x, &y)) in found.iter().zip(&apart).enumerate() {
                    prop_assert!(
                        x.to_bits() == y.to_bits(),
                        "{} {:?}, {threads} threads, value {i}: {x}, apart {y}",
                        kernel.name(),
                        self.kind
                    );
                    let error = (f64::from(x) - values[i]).abs();
                    prop_assert!(error <= bound, "{}: {x}, expected {}", kernel.name(), values[i]);
                }
            }
        }
        Ok(())
    }
}

fn ranges() -> ConvRanges {
    ConvRanges {
        batch: 1..=4,
        groups: 1..=1,
        inputs: 1..=70,
        outputs: 1..=100,
        kernel: 1..=1,
        stride: 1..=1,
        dilation: 1..=1,
        padding: 0..=0,
        planar: false,
        ..ConvRanges::default()
    }
}

#[test]
fn prologues_have_the_bits_of_passes() {
    for_problems(ranges(), 200, |problem| {
        for kind in KINDS {
            Case::new(&problem, kind).check()?;
        }
        Ok(())
    });
}

/// Several blocks, chains of sums, and maps whose pixels are split.
#[test]
fn prologues_of_networks() {
    for (size, [inputs, outputs], weights) in [
        (57, [96, 24], ElementType::F32),
        (40, [33, 17], ElementType::F16),
        (14, [1152, 40], ElementType::F32),
        (7, [1024, 128], ElementType::F16),
        (5, [3000, 20], ElementType::F32),
    ] {
        let desc = ConvDesc {
            input: gapped(FeatureMap::nhwc(2, size, size, inputs), [32, 0, 0]),
            output: FeatureMap::nhwc(2, size, size, outputs),
            residual: (size == 7).then(|| FeatureMap::nhwc(2, size, size, outputs)),
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::default(),
            groups: 1,
            weights,
            activation: Activation::Relu,
        };
        let problem = ConvProblem::of(&desc);
        for kind in [Kind::Affine { relu: true }, Kind::Gate] {
            Case::new(&problem, kind).check().unwrap();
        }
    }
}

/// A NaN or an infinity in the input never becomes a finite value.
#[test]
fn non_finite_values_stay() {
    let desc = ConvDesc {
        input: FeatureMap::nhwc(1, 3, 3, 21),
        output: FeatureMap::nhwc(1, 3, 3, 40),
        residual: None,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::default(),
        groups: 1,
        weights: ElementType::F32,
        activation: Activation::Relu,
    };
    let problem = ConvProblem::of(&desc);
    for (isa, kind) in Isa::available().flat_map(|isa| KINDS.map(|kind| (isa, kind))) {
        let Some(part) = PrologueDesc::part(&desc, isa) else { continue };
        let case = Case::new(&problem, kind);
        let prologue = PrologueDesc { conv: desc, prologue: case.prologue() };
        let kernel = prologue.prepare(problem.pack(part), problem.epilogue(), isa, 1).unwrap();
        let mut input = case.input();
        for channel in [7, 20] {
            input[desc.input.at(0, 1, 2) + channel] = f32::NAN;
            let output = problem.run_with(
                &*kernel,
                std::mem::replace(&mut input, case.input()),
                case.further().as_ref(),
            );
            let is_nan = |pixel: usize| output[pixel * 40..][..40].iter().all(|x| x.is_nan());
            assert!(is_nan(5) && !is_nan(4), "{} {kind:?}", kernel.name());
        }
    }
}
