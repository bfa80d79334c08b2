use proptest::prelude::*;

use super::edges::{EdgePadDesc, prepare_edge_pad};
use super::*;
use crate::kernels::testing::views::filled;
use crate::kernels::testing::views::{
    for_all, laid_out, layouts, offsets, random, run, same_bits, shapes, values,
};
use crate::tensor::{EdgeMode, Shape};

fn check_copy(input: View, output: View) {
    let memory = random(input, 1);
    for threads in [1, 3] {
        let kernel = prepare(&CopyDesc { input, output }, threads);
        let found = run(&*kernel, &[&memory], output);
        assert!(same_bits(&found, &values(input, &memory)), "{input:?} to {output:?}");
    }
}

#[test]
fn f32_copy() {
    for_all((shapes(0..=6, 0..=5), layouts(), layouts()), 300, |(shape, from, to)| {
        check_copy(laid_out(shape, from), laid_out(shape, to));
        Ok(())
    });
}

#[test]
fn f32_copy_between_the_orders_of_pictures() {
    for c in [1, 2, 3, 4, 5, 8, 17, 64] {
        for [h, w] in [[1, 1], [7, 7], [33, 65], [70, 31], [1, 2500]] {
            let shape = Shape::new(&[2, c, h, w]);
            check_copy(View::contiguous(shape), View::physical(shape));
            check_copy(View::physical(shape), View::contiguous(shape));
        }
    }
}

#[test]
fn f32_pad() {
    let amounts = || prop::array::uniform6(0..3_usize);
    let problems = (shapes(0..=6, 0..=4), amounts(), amounts(), layouts(), layouts());
    for_all(problems, 300, |(shape, before, behind, from, to)| {
        let mut padded = shape;
        (0..shape.rank()).for_each(|d| padded[d] += before[d] + behind[d]);
        let (input, output) = (laid_out(shape, from), laid_out(padded, to));
        let memory = random(input, 1);
        let inside = View { shape, ..output };
        let start: usize = output.strides().iter().zip(&before).map(|(s, b)| s * b).sum();
        let mut expected = vec![-1.5; output.end()];
        for (&x, offset) in values(input, &memory).iter().zip(offsets(inside)) {
            expected[start + offset] = x;
        }
        let expected = values(output, &expected);
        for threads in [1, 2] {
            let kernel = prepare_pad(&PadDesc { input, output, before, value: -1.5 }, threads);
            prop_assert_eq!(&run(&*kernel, &[&memory], output), &expected);
        }
        Ok(())
    });
}

/// Walks from outside into the input by the definition of the mode.
fn edge_source(mode: EdgeMode, mut at: isize, size: isize) -> isize {
    while at < 0 || at >= size {
        at = match mode {
            EdgeMode::Reflect if at < 0 => -at,
            EdgeMode::Reflect => 2 * (size - 1) - at,
            EdgeMode::Replicate => at - at.signum(),
            EdgeMode::Circular if at < 0 => at + size,
            EdgeMode::Circular => at - size,
        };
    }
    at
}

#[test]
fn f32_pad_edges() {
    let amounts = || prop_oneof![1 => Just([0; 6]), 3 => prop::array::uniform6(0..4_usize)];
    let mode = prop::sample::select(EdgeMode::ALL.to_vec());
    let problems = (mode, shapes(0..=6, 1..=4), amounts(), amounts(), layouts(), layouts());
    for_all(problems, 400, |(mode, shape, mut before, mut behind, from, to)| {
        let mut padded = shape;
        for d in 0..shape.rank() {
            let most = match mode {
                EdgeMode::Reflect => shape[d] - 1,
                EdgeMode::Replicate => 3,
                EdgeMode::Circular => shape[d],
            };
            // Half of the dimensions are not padded, as in networks.
            let most = if (before[d] + behind[d]) % 2 == 0 { 0 } else { most };
            before[d] = before[d].min(most);
            behind[d] = behind[d].min(most);
            padded[d] += before[d] + behind[d];
        }
        let (input, output) = (laid_out(shape, from), laid_out(padded, to));
        let memory = random(input, 1);
        let expected: Vec<f32> = (0..padded.numel())
            .map(|mut i| {
                let mut offset = 0;
                for d in (0..padded.rank()).rev() {
                    let at = (i % padded[d]) as isize - before[d] as isize;
                    offset += edge_source(mode, at, shape[d] as isize) as usize * input.strides[d];
                    i /= padded[d];
                }
                memory[offset]
            })
            .collect();
        for threads in [1, 2] {
            let desc = EdgePadDesc { input, output, before, mode };
            let kernel = prepare_edge_pad(&desc, threads).unwrap();
            prop_assert!(same_bits(&run(&*kernel, &[&memory], output), &expected), "{desc:?}");
        }
        Ok(())
    });
}

/// torch 2.14's results for 0 1 2 3 with two values before and three after.
#[test]
fn edges_as_torch() {
    let (input, output) = (View::physical(Shape::new(&[4])), View::physical(Shape::new(&[9])));
    let memory = filled(input, |i| i as f32);
    for (mode, expected) in [
        (EdgeMode::Reflect, [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0]),
        (EdgeMode::Replicate, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0]),
        (EdgeMode::Circular, [2.0, 3.0, 0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0]),
    ] {
        let desc = EdgePadDesc { input, output, before: [2, 0, 0, 0, 0, 0], mode };
        let found = run(&*prepare_edge_pad(&desc, 1).unwrap(), &[&memory], output);
        assert_eq!(found, expected, "{}", mode.name());
    }
}

/// Maps large enough for several threads, padded in rows and columns.
#[test]
fn edges_of_feature_maps() {
    for channels in [1, 3, 32] {
        let (shape, padded) = (Shape::new(&[2, channels, 37, 41]), Shape::new(&[2, channels, 41, 44]));
        for mode in EdgeMode::ALL {
            let (input, output) = (View::physical(shape), View::physical(padded));
            let memory = random(input, 1);
            let desc = EdgePadDesc { input, output, before: [0, 0, 1, 2, 0, 0], mode };
            let found = run(&*prepare_edge_pad(&desc, 3).unwrap(), &[&memory], output);
            for (i, &x) in found.iter().enumerate() {
                let (plane, y, x_at) = (i / (41 * 44), i / 44 % 41, i % 44);
                let row = edge_source(mode, y as isize - 1, 37) as usize;
                let column = edge_source(mode, x_at as isize - 2, 41) as usize;
                let (n, c) = (plane / channels, plane % channels);
                assert_eq!(x, memory[((n * 37 + row) * 41 + column) * channels + c], "{mode:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "reflect padding of (3,) to (7,)")]
fn a_reflection_needs_a_larger_input() {
    let (input, output) = (View::physical(Shape::new(&[3])), View::physical(Shape::new(&[7])));
    let before = [3, 0, 0, 0, 0, 0];
    let _ = prepare_edge_pad(&EdgePadDesc { input, output, before, mode: EdgeMode::Reflect }, 1);
}
