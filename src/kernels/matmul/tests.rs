use proptest::prelude::*;

use super::*;
use crate::kernels::testing::views::{
    close, for_all, laid_out, layouts, random, run, same_bits, shapes, values,
};
use crate::tensor::MAX_RANK;

/// An element of a view that broadcasts to `leads` and two more dimensions.
fn element(view: View, memory: &[f32], leads: Shape, mut lead: usize, [row, column]: [usize; 2]) -> f64 {
    let rank = view.shape.rank();
    let mut offset = row * view.strides[rank - 2] + column * view.strides[rank - 1];
    for d in (0..leads.rank()).rev() {
        let index = lead % leads[d];
        lead /= leads[d];
        if let Some(own) = (d + rank - 2).checked_sub(leads.rank()) {
            offset += if view.shape[own] == 1 { 0 } else { index * view.strides[own] };
        }
    }
    f64::from(memory[offset])
}

#[test]
fn products_of_generated_matrices() {
    let sizes = (1..=60_usize, 1..=50_usize, 1..=70_usize);
    let leads = (shapes(0..=4, 1..=3), any::<[bool; 8]>(), 0..3_usize);
    for_all((leads, sizes, layouts(), layouts(), layouts()), 120, |(leads, sizes, from, by, to)| {
        let ((leads, ones, skipped), (rows, depth, columns)) = (leads, sizes);
        prop_assume!(leads.numel() <= 12);
        let operand = |ones: &[bool], skipped: usize, rows: usize, columns: usize| {
            let mut dims: Vec<_> = (skipped.min(leads.rank())..leads.rank())
                .map(|d| if ones[d] { 1 } else { leads[d] })
                .collect();
            dims.extend([rows, columns]);
            Shape::new(&dims)
        };
        let dense = |shape: Shape, (mut order, mut gaps): ([u8; MAX_RANK], [usize; MAX_RANK])| {
            order = order.map(|place| place.saturating_add(1));
            order[shape.rank() - 1] = 0;
            gaps[shape.rank() - 1] = 0;
            laid_out(shape, (order, gaps))
        };
        let desc = MatMulDesc {
            left: dense(operand(&ones[..4], 0, rows, depth), from),
            right: laid_out(operand(&ones[4..], skipped, depth, columns), by),
            output: dense(operand(&[false; 4], 0, rows, columns), to),
        };
        let (left, right) = (random(desc.left, 1), random(desc.right, 2));
        for isa in Isa::available() {
            let kernel = prepare(&desc, isa, 1);
            let found = run(&*kernel, &[&left, &right], desc.output);
            for (i, &y) in found.iter().enumerate() {
                let (lead, at) = (i / (rows * columns), [i / columns % rows, i % columns]);
                let (mut sum, mut magnitude) = (0.0, 0.0);
                for k in 0..depth {
                    let product = element(desc.left, &left, leads, lead, [at[0], k])
                        * element(desc.right, &right, leads, lead, [k, at[1]]);
                    sum += product;
                    magnitude += product.abs();
                }
                prop_assert!(close(y, sum, 1e-6 * magnitude), "{}: {y}, {sum}", kernel.name());
            }
            let shared = run(&*prepare(&desc, isa, 3), &[&left, &right], desc.output);
            prop_assert!(same_bits(&found, &shared), "{}: threads matter", kernel.name());
        }
        Ok(())
    });
}

#[test]
fn a_deep_product() {
    let view = |dims: &[usize]| View::contiguous(Shape::new(dims));
    let desc = MatMulDesc { left: view(&[3, 1300]), right: view(&[1300, 5]), output: view(&[3, 5]) };
    let (left, right) = (random(desc.left, 1), random(desc.right, 2));
    let (x, y) = (values(desc.left, &left), values(desc.right, &right));
    for isa in Isa::available() {
        let found = run(&*prepare(&desc, isa, 1), &[&left, &right], desc.output);
        for (i, &found) in found.iter().enumerate() {
            let products = (0..1300).map(|k| f64::from(x[i / 5 * 1300 + k]) * f64::from(y[k * 5 + i % 5]));
            assert!(close(found, products.clone().sum(), 1e-6 * products.map(f64::abs).sum::<f64>()));
        }
    }
}
