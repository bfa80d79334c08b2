use proptest::prelude::*;

use super::*;
use crate::kernels::conv::Padding;
use crate::kernels::testing::views::{close, filled, for_all, run, same_bits, values};
use crate::kernels::testing::{Guarded, gapped, uniform};
use crate::tensor::{FeatureMap, View};

/// The definition: every tap of every window, with coordinates that may be outside the picture.
fn pool_f64(desc: &PoolDesc, memory: &[f32]) -> Vec<f64> {
    let (x, y) = (&desc.input, &desc.output);
    let mut expected = Vec::new();
    for n in 0..y.batch {
        for c in 0..y.channels {
            for oy in 0..y.height {
                for ox in 0..y.width {
                    let (taps_y, counted_y) = taps(desc, oy, 0, x.height, y.height);
                    let (taps_x, counted_x) = taps(desc, ox, 1, x.width, y.width);
                    let window: Vec<f64> = taps_y
                        .iter()
                        .flat_map(|&iy| taps_x.iter().map(move |&ix| (iy, ix)))
                        .map(|(iy, ix)| f64::from(memory[x.at(n, iy, ix) + c]))
                        .collect();
                    expected.push(match desc.op {
                        PoolOp::Max if window.iter().any(|v| v.is_nan()) => f64::NAN,
                        PoolOp::Max => window.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                        PoolOp::Average { .. } if window.is_empty() => 0.0,
                        PoolOp::Average { include_padding, divisor } => {
                            let counted = if include_padding { counted_y * counted_x } else { window.len() };
                            window.iter().sum::<f64>() / divisor.map_or(counted as f64, |d| d as f64)
                        }
                    });
                }
            }
        }
    }
    expected
}

/// The coordinates inside the picture that output `o` reads, and how many count with padding.
fn taps(desc: &PoolDesc, o: usize, axis: usize, size: usize, out: usize) -> (Vec<usize>, usize) {
    match desc.window {
        PoolWindow::Adaptive => {
            let start = (o as f64 * size as f64 / out as f64).floor() as usize;
            let end = ((o + 1) as f64 * size as f64 / out as f64).ceil() as usize;
            ((start..end).collect(), end - start)
        }
        PoolWindow::Sliding { kernel, stride, dilation, padding } => {
            let [before, after] = [[padding.top, padding.bottom], [padding.left, padding.right]][axis];
            let at = |k: usize| (o * stride[axis] + k * dilation[axis]) as isize - before as isize;
            let all = (0..kernel[axis]).map(at);
            let inside = all.clone().filter(|&i| i >= 0 && i < size as isize).map(|i| i as usize);
            let counted = all.filter(|&i| i < (size + after) as isize).count();
            (inside.collect(), counted)
        }
    }
}

fn check(desc: &PoolDesc) {
    let input = filled(desc.input.view(), |i| {
        if desc.op == PoolOp::Max && i % 61 == 60 { f32::NAN } else { uniform(1, i) }
    });
    let expected = pool_f64(desc, &input);
    for isa in Isa::available() {
        let run = |threads| run(&*prepare(desc, isa, threads).unwrap(), &[&input], desc.output.view());
        let found = run(1);
        for (i, (&y, &expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                close(y, expected, 3e-6),
                "{desc:?} {}: value {i} is {y}, expected {expected}",
                isa.name()
            );
        }
        assert!(same_bits(&found, &run(3)), "{desc:?} {}: depends on threads", isa.name());
    }
}

type Range = std::ops::RangeInclusive<usize>;

/// Padding below and to the right may be larger than half of the kernel or all of it.
fn sliding(kernel: Range, stride: Range, dilation: Range) -> impl Strategy<Value = PoolWindow> {
    let pair = |r: Range| [r.clone(), r];
    (pair(kernel), pair(stride), pair(dilation), [0..=2_usize, 0..=2, 0..=9, 0..=9]).prop_map(
        |(kernel, stride, dilation, [top, left, bottom, right])| PoolWindow::Sliding {
            kernel,
            stride,
            dilation,
            padding: Padding { top, left, bottom, right },
        },
    )
}

fn pools(window: impl Strategy<Value = PoolWindow>, size: usize, cases: u32) {
    let op = prop_oneof![
        1 => Just(PoolOp::Max),
        1 => (any::<bool>(), prop_oneof![2 => Just(None), 1 => Just(Some(-3))])
            .prop_map(|(include_padding, divisor)| PoolOp::Average { include_padding, divisor }),
    ];
    let gaps = || prop_oneof![2 => Just([0; 3]), 1 => [0..5_usize, 0..5_usize, 0..5_usize]];
    let sizes = (1..=2_usize, [1..=size, 1..=size], 1..=75_usize, [1..=9_usize, 1..=9_usize]);
    let problems = (op, window, sizes, any::<bool>(), (gaps(), gaps()));
    for_all(problems, cases, |(op, window, sizes, ceil, gaps)| {
        let (batch, [height, width], channels, adaptive) = sizes;
        let out = |i: usize, size: usize| match window {
            PoolWindow::Adaptive => adaptive[i],
            PoolWindow::Sliding { kernel, stride, dilation, padding } => {
                let padded = size + [padding.top + padding.bottom, padding.left + padding.right][i];
                let extent = (kernel[i] - 1) * dilation[i] + 1;
                let Some(free) = padded.checked_sub(extent) else { return 0 };
                let rounded = if ceil { free.div_ceil(stride[i]) } else { free / stride[i] } + 1;
                // As in torch, the last window begins inside the picture or before it.
                let before = [padding.top, padding.left][i];
                if ceil && (rounded - 1) * stride[i] >= size + before { rounded - 1 } else { rounded }
            }
        };
        let (oh, ow) = (out(0, height), out(1, width));
        check(&PoolDesc {
            input: gapped(FeatureMap::nhwc(batch, height, width, channels), gaps.0),
            output: gapped(FeatureMap::nhwc(batch, oh, ow, channels), gaps.1),
            op,
            window,
        });
        Ok(())
    });
}

#[test]
fn pools_of_all_kinds() {
    let window = prop_oneof![3 => sliding(1..=5, 1..=3, 1..=3), 1 => Just(PoolWindow::Adaptive)];
    pools(window, 11, 400);
}

#[test]
fn large_windows_that_overlap() {
    pools(sliding(4..=13, 1..=2, 1..=1), 30, 150);
    pools(sliding(4..=7, 1..=1, 1..=16), 50, 100);
}

#[test]
fn global_average_of_many_channels() {
    for channels in [64, 200, 2048] {
        let op = PoolOp::Average { include_padding: false, divisor: None };
        let (input, output) = (FeatureMap::nhwc(2, 7, 7, channels), FeatureMap::nhwc(2, 1, 1, channels));
        check(&PoolDesc { input, output, op, window: PoolWindow::Adaptive });
    }
}

/// 0, 1, 2, ... as one channel of a square picture.
fn counting(size: usize) -> (FeatureMap, Guarded) {
    let map = FeatureMap::nhwc(1, size, size, 1);
    (map, filled(map.view(), |i| (i % size + i / size * 5) as f32))
}

fn sliding_window(kernel: usize, stride: usize, pad: usize, dilation: usize) -> PoolWindow {
    let padding = Padding { top: pad, left: pad, bottom: pad, right: pad };
    PoolWindow::Sliding { kernel: [kernel; 2], stride: [stride; 2], dilation: [dilation; 2], padding }
}

/// torch 2.14's results at the corners of a picture whose rows count by ones and columns by fives.
#[test]
fn torch_on_rounded_up_windows() {
    let average = |include_padding, divisor| PoolOp::Average { include_padding, divisor };
    let cases: [(usize, PoolOp, PoolWindow, usize, &[f32]); 7] = [
        (
            5,
            average(true, None),
            sliding_window(3, 2, 1, 1),
            3,
            &[1.333_333, 3.0, 2.666_667, 7.0, 12.0, 9.0, 8.0, 13.0, 9.333_333],
        ),
        (
            4,
            average(true, None),
            sliding_window(3, 2, 1, 1),
            3,
            &[1.333_333, 3.0, 1.833_333, 7.0, 12.0, 6.5, 5.166_667, 8.5, 4.5],
        ),
        (
            4,
            average(false, None),
            sliding_window(3, 2, 1, 1),
            3,
            &[3.0, 4.5, 5.5, 10.5, 12.0, 13.0, 15.5, 17.0, 18.0],
        ),
        (
            4,
            average(true, Some(7)),
            sliding_window(3, 2, 1, 1),
            3,
            &[1.714_286, 3.857_143, 1.571_429, 9.0, 15.428_572, 5.571_429, 4.428_571, 7.285_714, 2.571_429],
        ),
        (4, average(true, None), sliding_window(2, 3, 0, 1), 2, &[3.0, 5.5, 15.5, 18.0]),
        (5, PoolOp::Max, sliding_window(2, 2, 1, 2), 3, &[6.0, 8.0, 8.0, 16.0, 18.0, 18.0, 16.0, 18.0, 18.0]),
        (4, PoolOp::Max, sliding_window(3, 2, 0, 1), 2, &[12.0, 13.0, 17.0, 18.0]),
    ];
    for (size, op, window, out, expected) in cases {
        let (input, memory) = counting(size);
        let output = FeatureMap::nhwc(1, out, out, 1);
        for isa in Isa::available() {
            let kernel = prepare(&PoolDesc { input, output, op, window }, isa, 1).unwrap();
            let found = run(&*kernel, &[&memory], output.view());
            let same = found.iter().zip(expected).all(|(&y, &e)| close(y, f64::from(e), 2e-6));
            assert!(same, "{op:?} {window:?} {}: {found:?}, expected {expected:?}", isa.name());
        }
    }
}

#[test]
fn torch_on_adaptive_windows() {
    let (input, memory) = counting(5);
    let output = FeatureMap::nhwc(1, 3, 2, 1);
    let desc = PoolDesc { input, output, op: PoolOp::Max, window: PoolWindow::Adaptive };
    let found = run(&*prepare(&desc, Isa::Portable, 1).unwrap(), &[&memory], output.view());
    assert_eq!(found, [7.0, 9.0, 17.0, 19.0, 22.0, 24.0]);
}

#[test]
fn a_maximum_of_negative_infinity_and_of_nan() {
    let input = FeatureMap::nhwc(1, 2, 4, 3);
    let output = FeatureMap::nhwc(1, 1, 2, 3);
    let memory = filled(input.view(), |i| if i % 8 == 1 { f32::NAN } else { f32::NEG_INFINITY });
    for isa in Isa::available() {
        let desc = PoolDesc { input, output, op: PoolOp::Max, window: sliding_window(2, 2, 0, 1) };
        let found = run(&*prepare(&desc, isa, 1).unwrap(), &[&memory], output.view());
        let expected = [f32::NAN, f32::NEG_INFINITY].repeat(3);
        assert!(same_bits(&found, &expected), "{}: {found:?}", isa.name());
    }
}

#[test]
fn a_picture_gives_the_same_bits_in_any_batch() {
    same_bits_in_any_batch(sliding_window(3, 2, 1, 1), [5, 4]);
    same_bits_in_any_batch(sliding_window(6, 1, 0, 1), [4, 3]);
}

fn same_bits_in_any_batch(window: PoolWindow, [oh, ow]: [usize; 2]) {
    let op = PoolOp::Average { include_padding: true, divisor: None };
    let maps = |batch| (FeatureMap::nhwc(batch, 9, 8, 21), FeatureMap::nhwc(batch, oh, ow, 21));
    let len = oh * ow * 21;
    for isa in Isa::available() {
        let pooled = |batch: usize, values: &[f32]| {
            let (input, output) = maps(batch);
            let memory = filled(input.view(), |i| values[i]);
            let desc = PoolDesc { input, output, op, window };
            run(&*prepare(&desc, isa, 2).unwrap(), &[&memory], output.view())
        };
        let five = values(
            View::contiguous(maps(5).0.view().shape),
            &(0..5 * 9 * 8 * 21).map(|i| uniform(3, i)).collect::<Vec<_>>(),
        );
        let together = pooled(5, &five);
        for n in 0..5 {
            let alone = pooled(1, &five[n * 1512..(n + 1) * 1512]);
            assert!(same_bits(&alone, &together[n * len..(n + 1) * len]));
        }
    }
}
