use proptest::prelude::*;

use super::*;
use crate::kernels::testing::views::{
    for_all, laid_out, layouts, offsets, random, run, same_bits, shapes, values,
};
use crate::tensor::Shape;

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
