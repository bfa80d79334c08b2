//! Compares shape rules with torch's results, and with counting windows one by one.

use std::ops::RangeInclusive;
use std::sync::Arc;

use proptest::prelude::*;
use rvision::Error;
use rvision::graph::ops::{self, Conv2d, ConvPadding, Window, conv_geometry, kept, pool_geometry};
use rvision::graph::{GraphBuilder, Op, infer_shapes};
use rvision::tensor::{BinaryOp, Param, Shape};

type Pair = [usize; 2];
type PoolCase = (Pair, Pair, Pair, Pair, Pair, bool, Option<Pair>);
type SliceCase = (usize, Option<i64>, Option<i64>, usize, usize);

/// Input, kernel, stride, padding, dilation, `ceil_mode`; what `torch.nn.functional.max_pool2d`
/// 2.14 returned, or `None` where it raised.
#[rustfmt::skip]
const MAX_POOLS: [PoolCase; 50] = [
    ([1, 10], [1, 4], [4, 1], [0, 0], [3, 2], true, Some([1, 4])),
    ([9, 12], [5, 1], [3, 2], [0, 0], [2, 1], true, Some([1, 6])),
    ([5, 10], [2, 2], [1, 3], [1, 1], [3, 2], false, Some([4, 4])),
    ([1, 11], [1, 5], [4, 2], [0, 0], [2, 2], true, Some([1, 2])),
    ([10, 8], [5, 5], [3, 3], [2, 1], [3, 2], true, Some([2, 2])),
    ([11, 8], [1, 3], [4, 1], [0, 1], [3, 3], true, Some([3, 4])),
    ([8, 1], [4, 3], [1, 4], [1, 0], [3, 1], true, Some([1, 1])),
    ([8, 7], [3, 2], [2, 4], [1, 1], [1, 1], true, Some([5, 2])),
    ([3, 2], [2, 4], [3, 4], [1, 2], [2, 1], true, Some([2, 1])),
    ([3, 7], [2, 2], [1, 4], [0, 1], [2, 1], true, Some([1, 2])),
    ([11, 12], [5, 5], [3, 2], [2, 2], [3, 3], true, Some([2, 3])),
    ([1, 10], [2, 4], [2, 1], [1, 2], [1, 1], true, Some([1, 11])),
    ([5, 6], [1, 3], [1, 1], [0, 1], [1, 3], true, Some([5, 2])),
    ([6, 4], [1, 5], [3, 1], [0, 2], [2, 1], true, Some([2, 4])),
    ([6, 8], [1, 1], [3, 4], [0, 0], [3, 3], false, Some([2, 2])),
    ([6, 4], [3, 3], [1, 2], [0, 0], [2, 1], true, Some([2, 2])),
    ([12, 2], [4, 2], [4, 3], [0, 1], [2, 2], false, Some([2, 1])),
    ([8, 11], [2, 2], [1, 2], [1, 0], [3, 3], false, Some([7, 4])),
    ([9, 12], [2, 5], [2, 1], [0, 2], [3, 1], false, Some([3, 12])),
    ([4, 10], [4, 2], [2, 1], [1, 0], [2, 3], true, Some([1, 7])),
    ([10, 9], [5, 4], [2, 1], [2, 1], [2, 3], true, Some([4, 2])),
    ([1, 4], [5, 1], [1, 3], [2, 0], [1, 3], true, Some([1, 2])),
    ([9, 10], [1, 1], [4, 1], [0, 0], [2, 3], true, Some([3, 10])),
    ([3, 7], [3, 4], [4, 2], [1, 2], [1, 2], true, Some([1, 3])),
    ([2, 7], [2, 3], [2, 3], [0, 1], [1, 3], false, Some([1, 1])),
    ([6, 6], [2, 2], [2, 4], [1, 1], [2, 1], true, Some([4, 2])),
    ([9, 10], [3, 1], [3, 4], [1, 0], [2, 2], true, Some([3, 3])),
    ([3, 5], [1, 1], [2, 1], [0, 0], [2, 1], false, Some([2, 5])),
    ([2, 10], [2, 4], [1, 3], [0, 2], [1, 2], false, Some([1, 3])),
    ([5, 10], [1, 3], [1, 4], [0, 1], [3, 2], true, Some([5, 3])),
    ([5, 11], [5, 2], [1, 2], [1, 0], [1, 1], true, Some([3, 6])),
    ([12, 11], [5, 4], [3, 2], [0, 1], [1, 3], true, Some([4, 3])),
    ([4, 6], [1, 3], [3, 3], [0, 0], [1, 2], true, Some([2, 2])),
    ([5, 5], [1, 3], [1, 2], [0, 0], [2, 1], true, Some([5, 2])),
    ([5, 12], [1, 5], [2, 4], [0, 2], [2, 1], true, Some([3, 4])),
    ([1, 3], [2, 1], [4, 2], [0, 0], [1, 1], true, Some([1, 2])),
    ([4, 8], [1, 4], [4, 1], [0, 2], [3, 3], true, Some([1, 3])),
    ([5, 4], [4, 1], [1, 1], [2, 0], [2, 1], false, Some([3, 4])),
    ([5, 1], [2, 2], [4, 4], [1, 0], [2, 3], true, Some([2, 1])),
    ([3, 1], [2, 1], [2, 3], [1, 0], [3, 3], true, Some([2, 1])),
    ([1, 9], [3, 2], [4, 1], [0, 0], [2, 3], true, None),
    ([3, 5], [2, 5], [1, 4], [0, 0], [1, 3], true, None),
    ([8, 6], [1, 5], [2, 4], [0, 1], [2, 3], true, None),
    ([7, 1], [5, 4], [4, 4], [1, 0], [2, 3], true, None),
    ([2, 3], [4, 1], [1, 4], [1, 0], [2, 2], true, None),
    ([3, 12], [3, 3], [4, 2], [0, 0], [3, 2], true, None),
    ([4, 9], [5, 3], [2, 2], [0, 1], [3, 1], true, None),
    ([7, 12], [5, 1], [4, 3], [2, 0], [3, 1], false, None),
    ([3, 3], [5, 2], [2, 1], [1, 0], [3, 1], true, None),
    ([5, 2], [4, 3], [1, 2], [1, 0], [1, 3], false, None),
];

/// Input, kernel, stride, padding, `ceil_mode`; what `torch.nn.functional.avg_pool2d` returned.
#[rustfmt::skip]
const AVG_POOLS: [(Pair, Pair, Pair, Pair, bool, Option<Pair>); 20] = [
    ([5, 12], [4, 3], [1, 2], [2, 1], true, Some([6, 7])),
    ([7, 4], [1, 3], [4, 1], [0, 1], false, Some([2, 4])),
    ([3, 10], [2, 1], [1, 2], [1, 0], false, Some([4, 5])),
    ([8, 7], [5, 3], [1, 3], [0, 1], true, Some([4, 3])),
    ([3, 7], [1, 4], [4, 4], [0, 2], true, Some([1, 3])),
    ([7, 2], [3, 1], [3, 1], [1, 0], false, Some([3, 2])),
    ([7, 7], [2, 1], [3, 3], [1, 0], false, Some([3, 3])),
    ([5, 2], [5, 1], [3, 4], [1, 0], true, Some([2, 1])),
    ([4, 6], [3, 2], [2, 3], [1, 1], false, Some([2, 3])),
    ([1, 12], [4, 1], [4, 2], [2, 0], true, Some([1, 6])),
    ([3, 8], [5, 2], [3, 4], [0, 0], true, Some([1, 2])),
    ([5, 8], [3, 3], [3, 3], [1, 0], true, Some([2, 3])),
    ([9, 8], [4, 1], [2, 2], [0, 0], true, Some([4, 4])),
    ([4, 2], [4, 3], [4, 4], [0, 0], true, Some([1, 1])),
    ([10, 4], [5, 1], [3, 2], [1, 0], false, Some([3, 2])),
    ([6, 1], [4, 4], [4, 2], [1, 1], true, Some([2, 1])),
    ([5, 2], [4, 4], [4, 1], [2, 0], false, None),
    ([1, 9], [5, 2], [4, 3], [0, 0], true, None),
    ([5, 2], [3, 4], [2, 1], [0, 0], true, None),
    ([1, 12], [5, 1], [3, 3], [1, 0], false, None),
];

/// Input, kernel, stride, padding, dilation; what `torch.nn.functional.conv2d` returned.
#[rustfmt::skip]
const CONVS: [(Pair, Pair, Pair, Pair, Pair, Option<Pair>); 40] = [
    ([7, 8], [1, 1], [2, 1], [3, 3], [2, 2], Some([7, 14])),
    ([6, 6], [2, 4], [2, 1], [2, 1], [3, 1], Some([4, 5])),
    ([2, 11], [4, 3], [1, 2], [3, 1], [1, 2], Some([5, 5])),
    ([7, 8], [2, 1], [4, 4], [3, 1], [1, 1], Some([3, 3])),
    ([5, 10], [3, 2], [4, 2], [1, 1], [1, 1], Some([2, 6])),
    ([4, 11], [2, 3], [1, 4], [2, 1], [3, 3], Some([5, 2])),
    ([6, 1], [1, 4], [1, 1], [0, 3], [1, 2], Some([6, 1])),
    ([5, 1], [3, 2], [1, 3], [2, 1], [1, 1], Some([7, 1])),
    ([5, 2], [5, 2], [1, 3], [3, 2], [1, 3], Some([7, 1])),
    ([11, 9], [2, 1], [4, 4], [0, 3], [1, 2], Some([3, 4])),
    ([11, 5], [2, 5], [1, 2], [3, 2], [2, 2], Some([15, 1])),
    ([11, 4], [4, 1], [3, 3], [3, 3], [1, 2], Some([5, 4])),
    ([2, 7], [4, 4], [2, 1], [3, 1], [2, 1], Some([1, 6])),
    ([3, 11], [5, 3], [4, 2], [1, 0], [1, 3], Some([1, 3])),
    ([9, 3], [4, 1], [3, 2], [1, 2], [2, 1], Some([2, 4])),
    ([8, 6], [1, 1], [4, 4], [1, 2], [1, 1], Some([3, 3])),
    ([10, 7], [1, 5], [4, 1], [4, 1], [3, 1], Some([5, 5])),
    ([9, 3], [5, 2], [4, 2], [4, 1], [1, 2], Some([4, 2])),
    ([5, 10], [3, 1], [4, 4], [4, 2], [3, 2], Some([2, 4])),
    ([1, 1], [2, 4], [4, 3], [3, 4], [2, 1], Some([2, 2])),
    ([8, 7], [5, 4], [4, 2], [3, 4], [2, 1], Some([2, 6])),
    ([9, 9], [1, 1], [2, 3], [3, 2], [1, 2], Some([8, 5])),
    ([9, 7], [1, 1], [2, 1], [2, 4], [1, 1], Some([7, 15])),
    ([3, 11], [2, 1], [1, 1], [1, 1], [2, 2], Some([3, 13])),
    ([8, 3], [2, 1], [3, 3], [1, 2], [3, 2], Some([3, 3])),
    ([11, 6], [3, 1], [2, 2], [3, 1], [3, 2], Some([6, 4])),
    ([8, 9], [4, 2], [3, 1], [4, 0], [3, 2], Some([3, 7])),
    ([5, 7], [5, 5], [1, 3], [4, 3], [3, 2], Some([1, 2])),
    ([3, 10], [3, 5], [2, 3], [2, 0], [2, 1], Some([2, 2])),
    ([12, 1], [1, 3], [3, 3], [4, 2], [3, 1], Some([7, 1])),
    ([3, 8], [2, 2], [3, 4], [3, 4], [2, 1], Some([3, 4])),
    ([9, 6], [1, 2], [3, 4], [2, 0], [1, 3], Some([5, 1])),
    ([10, 2], [1, 4], [3, 2], [3, 0], [1, 2], None),
    ([6, 5], [5, 2], [1, 3], [2, 2], [3, 2], None),
    ([2, 6], [3, 2], [1, 1], [1, 4], [3, 1], None),
    ([12, 10], [5, 2], [4, 3], [0, 0], [3, 3], None),
    ([11, 1], [4, 3], [1, 2], [1, 1], [1, 3], None),
    ([4, 6], [3, 5], [4, 2], [4, 2], [3, 3], None),
    ([5, 2], [2, 5], [1, 1], [0, 0], [3, 2], None),
    ([4, 6], [5, 3], [2, 4], [4, 2], [3, 1], None),
];

/// Size, start, stop, step; `len(range(size)[start:stop:step])`.
#[rustfmt::skip]
const SLICES: [SliceCase; 24] = [
    (3, Some(7), Some(-6), 3, 0),
    (5, Some(5), Some(8), 3, 0),
    (1, None, Some(5), 3, 1),
    (4, Some(-3), Some(-4), 3, 0),
    (7, Some(7), Some(5), 3, 0),
    (6, Some(-6), Some(-3), 3, 1),
    (2, Some(2), None, 3, 0),
    (1, Some(8), Some(-9), 1, 0),
    (4, Some(-2), Some(5), 1, 2),
    (6, Some(3), Some(2), 3, 0),
    (7, Some(1), Some(-7), 1, 0),
    (0, Some(5), Some(-4), 1, 0),
    (4, Some(3), Some(-1), 3, 0),
    (6, Some(2), Some(8), 3, 2),
    (5, Some(8), Some(3), 3, 0),
    (3, None, Some(-2), 2, 1),
    (2, Some(0), Some(7), 3, 1),
    (1, Some(-4), Some(8), 3, 1),
    (4, Some(-7), Some(-8), 2, 0),
    (7, Some(5), Some(-8), 3, 0),
    (5, Some(3), Some(-6), 1, 0),
    (0, Some(3), Some(3), 2, 0),
    (1, Some(9), Some(9), 1, 0),
    (0, Some(8), Some(0), 2, 0),
];

fn both_sides([h, w]: Pair) -> [usize; 4] {
    [h, w, h, w]
}

/// The shape of one operation's value, obtained from the builder.
fn shape_of(op: Op, input: &[usize], weight: Option<&[usize]>) -> rvision::Result<Shape> {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", input)?;
    let params = weight.map_or_else(Vec::new, |shape| {
        let shape = Shape::new(shape);
        vec![Param::new(shape, &vec![0.0; shape.numel()]).ok().map(Arc::new), None]
    });
    let y = builder.add("node", op, &[x], params)?;
    builder.shape(y)
}

fn size(shape: rvision::Result<Shape>) -> Option<Pair> {
    match shape {
        Ok(shape) => Some([shape[2], shape[3]]),
        Err(Error::WindowTooLarge { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn max_pools_have_torchs_sizes() {
    for case @ (input, kernel, stride, padding, dilation, ceil_mode, expected) in MAX_POOLS {
        let window = Window { kernel, stride, padding: both_sides(padding), dilation, ceil_mode };
        let found = shape_of(Op::MaxPool2d(ops::MaxPool2d(window)), &[1, 1, input[0], input[1]], None);
        assert_eq!(size(found), expected, "{case:?}");
    }
}

#[test]
fn average_pools_have_torchs_sizes() {
    for case @ (input, kernel, stride, padding, ceil_mode, expected) in AVG_POOLS {
        let window = Window { kernel, stride, padding: both_sides(padding), dilation: [1, 1], ceil_mode };
        let op = Op::AvgPool2d(ops::AvgPool2d { window, count_include_pad: true, divisor_override: None });
        assert_eq!(size(shape_of(op, &[1, 1, input[0], input[1]], None)), expected, "{case:?}");
    }
}

#[test]
fn convolutions_have_torchs_sizes() {
    for case @ (input, kernel, stride, padding, dilation, expected) in CONVS {
        let conv =
            Conv2d { stride, padding: ConvPadding::Explicit(both_sides(padding)), dilation, groups: 1 };
        let found =
            shape_of(Op::Conv2d(conv), &[1, 1, input[0], input[1]], Some(&[1, 1, kernel[0], kernel[1]]));
        assert_eq!(size(found), expected, "{case:?}");
    }
}

#[test]
fn slices_count_as_pythons() {
    for case @ (size, start, stop, step, expected) in SLICES {
        let found =
            shape_of(Op::Slice(ops::Slice { dim: 0, start, stop, step, index: false }), &[size], None)
                .unwrap();
        assert_eq!(found[0], expected, "{case:?}");
        let (first, behind) = ops::Slice { dim: 0, start, stop, step, index: false }.bounds(size);
        assert!(first <= behind && behind <= size, "{case:?}");
    }
    assert_eq!(
        ops::Slice { dim: 0, start: Some(i64::MIN), stop: Some(i64::MAX), step: 1, index: false }.bounds(5),
        (0, 5)
    );
}

#[test]
fn only_the_batch_may_be_empty() {
    let window =
        Window { kernel: [2, 2], stride: [2, 2], padding: [0; 4], dilation: [1, 1], ceil_mode: false };
    assert_eq!(
        shape_of(Op::MaxPool2d(ops::MaxPool2d(window)), &[0, 3, 4, 4], None).unwrap(),
        Shape::new(&[0, 3, 2, 2])
    );
    let said = shape_of(Op::MaxPool2d(ops::MaxPool2d(window)), &[1, 3, 0, 4], None).unwrap_err().to_string();
    assert_eq!(
        said,
        "node: expected a 4-d input (N, C, H, W) where only N may be 0, got a 4-d input (1, 3, 0, 4)"
    );
    let conv = Conv2d { stride: [1, 1], padding: ConvPadding::Explicit([2; 4]), dilation: [1, 1], groups: 1 };
    assert_eq!(
        shape_of(Op::Conv2d(conv), &[0, 3, 4, 4], Some(&[8, 3, 3, 3])).unwrap(),
        Shape::new(&[0, 8, 6, 6])
    );
    assert!(shape_of(Op::Conv2d(conv), &[1, 3, 0, 4], Some(&[8, 3, 3, 3])).is_err());
}

#[test]
fn values_are_broadcast_as_torchs() {
    let sum = |left: &[usize], right: &[usize]| {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", left).unwrap();
        let y = builder.input("y", right).unwrap();
        let z = builder.add("add", Op::Binary(ops::Binary::new(BinaryOp::Add)), &[x, y], vec![]).ok()?;
        Some(builder.shape(z).unwrap().to_vec())
    };
    assert_eq!(sum(&[2, 3, 4, 4], &[2, 3, 1, 1]), Some(vec![2, 3, 4, 4]));
    assert_eq!(sum(&[3, 1], &[2, 3, 4, 5]), None);
    assert_eq!(sum(&[4, 1], &[2, 3, 1, 5]), Some(vec![2, 3, 4, 5]));
    assert_eq!(sum(&[], &[2, 0]), Some(vec![2, 0]));
    assert_eq!(sum(&[1], &[2, 0]), Some(vec![2, 0]));
    assert_eq!(sum(&[3], &[2, 4]), None);
    assert_eq!(sum(&[2], &[2, 0]), None);
}

#[test]
fn a_run_needs_every_input() {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", &[1, 3]).unwrap();
    builder.output(x).unwrap();
    let said = infer_shapes(builder.traced(), &[]).unwrap_err().to_string();
    assert_eq!(said, "graph: expected 1 input(s), got 0");
}

// --- counting --------------------------------------------------------------------------

/// The number of windows, found by placing them one by one.
fn count_windows(input: usize, [before, after]: Pair, extent: usize, stride: usize, ceil: bool) -> usize {
    let padded = input + before + after;
    (0..1000)
        .map(|i| i * stride)
        .take_while(|start| {
            let inside = start + extent <= padded;
            // The last window may extend beyond the edge by less than a stride if it covers part
            // of the picture.
            let hanging = ceil && start + extent < padded + stride && *start < input + before;
            (inside && (!ceil || *start < input + before)) || hanging
        })
        .count()
}

fn pairs(range: RangeInclusive<usize>) -> impl Strategy<Value = Pair> {
    prop::array::uniform2(range)
}

proptest! {
    #[test]
    fn pools_have_as_many_windows_as_fit(
        input in pairs(1..=40),
        kernel in pairs(1..=7),
        stride in pairs(1..=6),
        share in prop::array::uniform4(0usize..=3),
        dilation in pairs(1..=3),
        ceil_mode: bool,
    ) {
        let padding: [usize; 4] = std::array::from_fn(|side| share[side].min(kernel[side % 2] / 2));
        let window = Window { kernel, stride, padding, dilation, ceil_mode };
        let counts: [usize; 2] = std::array::from_fn(|axis| {
            let extent = (kernel[axis] - 1) * dilation[axis] + 1;
            count_windows(input[axis], [padding[axis], padding[axis + 2]], extent, stride[axis], ceil_mode)
        });
        let expected = Some(counts).filter(|counts| !counts.contains(&0));
        prop_assert_eq!(pool_geometry(&window, input), expected);
    }

    #[test]
    fn convolutions_have_as_many_windows_as_fit(
        input in pairs(1..=40),
        kernel in pairs(1..=7),
        stride in pairs(1..=6),
        padding in prop::array::uniform4(0usize..=9),
        dilation in pairs(1..=4),
    ) {
        let conv = Conv2d { stride, padding: ConvPadding::Explicit(padding), dilation, groups: 1 };
        let counts: [usize; 2] = std::array::from_fn(|axis| {
            let extent = (kernel[axis] - 1) * dilation[axis] + 1;
            count_windows(input[axis], [padding[axis], padding[axis + 2]], extent, stride[axis], false)
        });
        let expected = (!counts.contains(&0)).then_some((padding, counts));
        prop_assert_eq!(conv_geometry(&conv, kernel, input), expected);
    }

    /// As many outputs as the input has strides, the fewest zeros, the odd one last.
    #[test]
    fn same_padding_is_tensorflows(
        input in pairs(1..=40),
        kernel in pairs(1..=7),
        stride in pairs(1..=6),
        dilation in pairs(1..=4),
    ) {
        let conv = Conv2d { stride, padding: ConvPadding::SameUpper, dilation, groups: 1 };
        let (padding, output) = conv_geometry(&conv, kernel, input).unwrap();
        for axis in 0..2 {
            let extent = (kernel[axis] - 1) * dilation[axis] + 1;
            let [before, after] = [padding[axis], padding[axis + 2]];
            prop_assert_eq!(output[axis], (0..input[axis]).step_by(stride[axis]).count());
            prop_assert!(after == before || after == before + 1);
            let fits = |zeros: usize| {
                count_windows(input[axis], [zeros, 0], extent, stride[axis], false) >= output[axis]
            };
            prop_assert!(fits(before + after));
            prop_assert!(before + after == 0 || !fits(before + after - 1));
        }
    }

    #[test]
    fn attributes_of_any_size_do_not_overflow(
        input in prop::array::uniform4(0usize..=usize::MAX),
        kernel in pairs(1..=usize::MAX),
        stride in pairs(1..=usize::MAX),
        padding in prop::array::uniform4(0..=usize::MAX),
        dilation in pairs(1..=usize::MAX),
        ceil_mode: bool,
    ) {
        let hw = [input[2], input[3]];
        let window = Window { kernel, stride, padding, dilation, ceil_mode };
        let _ = pool_geometry(&window, hw);
        for padding in [ConvPadding::Explicit(padding), ConvPadding::SameUpper] {
            let _ = conv_geometry(&Conv2d { stride, padding, dilation, groups: 1 }, kernel, hw);
        }
        let mut builder = GraphBuilder::new();
        if let Ok(x) = builder.input("x", &input.map(|size| size >> 40)) {
            let _ = builder.add("pool", Op::MaxPool2d(ops::MaxPool2d(window)), &[x], vec![]);
            let pads = padding.map(|size| [size, size]).to_vec();
            let _ = builder.add("pad", Op::Pad(ops::Pad { pads, value: 0.0 }), &[x], vec![]);
        }
    }
}

#[test]
fn an_index_is_not_clamped_as_a_slice_is() {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", &[2, 8]).unwrap();
    let fifth = builder.index("fifth", x, 1, 5).unwrap();
    let last = builder.index("last", x, -1, -3).unwrap();
    builder.output(fifth).unwrap();
    builder.output(last).unwrap();
    let graph = builder.finish().unwrap();
    let run = |sizes: &[usize]| infer_shapes(&graph, &[Shape::new(sizes)]);
    assert_eq!(run(&[3, 6]).unwrap()[graph.outputs[0].0], Shape::new(&[3, 1]));
    let message = "fifth: index 5 is out of range for dimension 1 of (2, 5)";
    assert_eq!(run(&[2, 5]).unwrap_err().to_string(), message);
    assert!(builder.index("none", x, 1, 8).is_err() && builder.index("none", x, 1, -9).is_err());
}

#[test]
fn kept_sizes_are_those_of_the_run() {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", &[2, 6, 4, 5]).unwrap();
    let dims = vec![kept(0), 3, 2, kept(2), -1];
    let groups = builder.add("groups", Op::Reshape(ops::Reshape { dims }), &[x], vec![]).unwrap();
    let token = builder.input("token", &[1, 7]).unwrap();
    let sizes = vec![kept(0), kept(3), -1];
    let tokens =
        builder.add("tokens", Op::Expand(ops::Expand { sizes, like: true }), &[token, x], vec![]).unwrap();
    builder.output(groups).unwrap();
    builder.output(tokens).unwrap();
    let graph = builder.finish().unwrap();
    let shapes = infer_shapes(&graph, &[Shape::new(&[5, 6, 3, 8]), Shape::new(&[1, 7])]).unwrap();
    assert_eq!(shapes[graph.outputs[0].0], Shape::new(&[5, 3, 2, 3, 8]));
    assert_eq!(shapes[graph.outputs[1].0], Shape::new(&[5, 8, 7]));
    let text = graph.describe();
    assert!(text.contains("to [dim 0, 3, 2, dim 2, -1]"), "{text}");
    let dims = vec![kept(4), -1];
    assert!(
        builder.add("none", Op::Reshape(ops::Reshape { dims }), &[x], vec![]).is_err(),
        "a dimension that is not there"
    );
}

#[test]
fn a_value_that_is_changed_in_place_keeps_its_shape() {
    let add = |shapes: [&[usize]; 2], in_place: bool| {
        let mut builder = GraphBuilder::new();
        let [x, y] = shapes.map(|shape| builder.input("x", shape).unwrap());
        let sum = builder.add("sum", ops::Binary { op: BinaryOp::Add, in_place }, &[x, y], vec![]);
        sum.and_then(|sum| builder.shape(sum))
    };
    assert_eq!(*add([&[1, 4], &[3, 4]], false).unwrap(), [3, 4]);
    assert_eq!(*add([&[3, 4], &[4]], true).unwrap(), [3, 4]);
    let said = add([&[1, 4], &[3, 4]], true).unwrap_err().to_string();
    assert!(said.contains("in place") && said.contains("(1, 4)") && said.contains("(3, 4)"), "{said}");
}

#[test]
fn a_sum_in_place_keeps_its_shape_when_a_layer_takes_it_over() {
    let weight = || vec![Some(Arc::new(Param::zeros(Shape::new(&[4, 4, 1, 1])).unwrap())), None];
    let conv = Conv2d { stride: [1, 1], padding: ConvPadding::Explicit([0; 4]), dilation: [1, 1], groups: 1 };
    for layer_first in [true, false] {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[1, 4, 5, 5]).unwrap();
        let other = builder.input("other", &[1, 4, 5, 5]).unwrap();
        let y = builder.add("conv", conv, &[x], weight()).unwrap();
        let operands = if layer_first { [y, other] } else { [other, y] };
        let add = ops::Binary { op: BinaryOp::Add, in_place: true };
        let sum = builder.add("sum", add, &operands, vec![]).unwrap();
        builder.output(sum).unwrap();
        let graph = builder.finish().unwrap();
        assert!(graph.nodes.iter().any(|node| node.fused.residual));
        let shapes = |x: &[usize], other: &[usize]| infer_shapes(&graph, &[Shape::new(x), Shape::new(other)]);
        let (map, point) = (&[1, 4, 5, 5][..], &[1, 4, 1, 1][..]);
        assert!(shapes(map, map).is_ok());
        assert_eq!(shapes(map, point).is_ok(), layer_first);
        assert_eq!(shapes(point, map).is_ok(), !layer_first);
    }
}
