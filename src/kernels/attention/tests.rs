use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::kernels::testing::uniform;
use crate::kernels::testing::views::{
    Layout, close, filled, for_all, laid_out, layouts, random, run, same_bits, shapes, values,
};

/// The matrix of an operand's view for one of the output's leading indices.
fn matrix_of(view: View, leads: Shape, mut lead: usize) -> View {
    let rank = leads.rank();
    let mut shape = view.shape;
    shape[..rank].copy_from_slice(&leads);
    let spread = view.broadcast(shape);
    let mut offset = 0;
    for d in (0..rank).rev() {
        offset += lead % leads[d] * spread.strides[d];
        lead /= leads[d];
    }
    let mut strides = [0; MAX_RANK];
    strides[..2].copy_from_slice(&spread.strides[rank..rank + 2]);
    View { shape: Shape::new(&shape[rank..]), strides, offset }
}

/// The definition, in logical order.
fn attention_f64(desc: &AttentionDesc, memory: &[&[f32]]) -> Vec<f64> {
    let rank = desc.output.shape.rank();
    let leads = Shape::new(&desc.output.shape[..rank - 2]);
    let [queries, width] = [desc.output.shape[rank - 2], desc.output.shape[rank - 1]];
    let [keys, depth] = [desc.key.shape[rank - 2], desc.key.shape[rank - 1]];
    let mut scores_shape = desc.output.shape;
    scores_shape[rank - 1] = keys;
    let mask = desc.mask.map(|mask| mask.broadcast(scores_shape));
    let mut y = Vec::new();
    for lead in 0..leads.numel() {
        let read = |view: View, memory: &[f32]| {
            let matrix = matrix_of(view, leads, lead);
            values(matrix, &memory[matrix.offset..]).into_iter().map(f64::from).collect::<Vec<_>>()
        };
        let (q, k, v) = (read(desc.query, memory[0]), read(desc.key, memory[1]), read(desc.value, memory[2]));
        let mask = mask.map(|mask| read(mask, memory[3]));
        for l in 0..queries {
            let scores: Vec<f64> = (0..keys)
                .map(|s| {
                    let dot: f64 = (0..depth).map(|e| q[l * depth + e] * k[s * depth + e]).sum();
                    dot * f64::from(desc.scale) + mask.as_ref().map_or(0.0, |mask| mask[l * keys + s])
                })
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let e: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let sum: f64 = e.iter().sum();
            for f in 0..width {
                let weighted: f64 = (0..keys).map(|s| e[s] * v[s * width + f]).sum();
                y.push(if largest == f64::NEG_INFINITY { 0.0 } else { weighted / sum });
            }
        }
    }
    y
}

fn check(desc: &AttentionDesc, hidden: usize) -> TestCaseResult {
    let (query, key, value) = (random(desc.query, 1), random(desc.key, 2), random(desc.value, 3));
    // Some scores are masked out completely.
    let mask = desc.mask.map(|mask| {
        filled(mask, |i| if hidden > 0 && i % hidden == 0 { f32::NEG_INFINITY } else { uniform(4, i) })
    });
    let inputs: Vec<_> = [&query, &key, &value].into_iter().chain(&mask).collect();
    let memory: Vec<&[f32]> = inputs.iter().map(|input| &***input).collect();
    let expected = attention_f64(desc, &memory);
    for isa in Isa::available() {
        let kernel = prepare(desc, isa, 1);
        let found = run(&*kernel, &inputs, desc.output);
        for (&y, &expected) in found.iter().zip(&expected) {
            prop_assert!(close(y, expected, 2e-6), "{}: {y}, {expected}", kernel.name());
        }
        let shared = run(&*prepare(desc, isa, 3), &inputs, desc.output);
        prop_assert!(same_bits(&found, &shared), "{}: threads matter", kernel.name());
    }
    Ok(())
}

/// A view whose last dimension is dense.
fn dense_rows(shape: Shape, (order, mut gaps): Layout) -> View {
    let mut order = order.map(|place| place.saturating_add(1));
    order[shape.rank() - 1] = 0;
    gaps[shape.rank() - 1] = 0;
    laid_out(shape, (order, gaps))
}

#[test]
fn attention_of_generated_heads() {
    let sizes = (1..=30_usize, 1..=70_usize, 1..=40_usize, 1..=40_usize);
    let lays = (layouts(), layouts(), layouts(), layouts(), layouts());
    let mask = (any::<bool>(), any::<[bool; 6]>(), 0..4_usize, 0..9_usize);
    let leads = (shapes(0..=4, 1..=3), any::<[bool; 4]>());
    for_all((leads, sizes, lays, mask, 0.1..2.0_f32), 120, |(leads, sizes, lays, mask, scale)| {
        let ((leads, shared), (queries, keys, depth, width)) = (leads, sizes);
        prop_assume!(leads.numel() <= 12);
        let full = |rows: usize, columns: usize| Shape::new(&[&*leads, &[rows, columns]].concat());
        // Some heads may share keys and values.
        let mut key = full(keys, depth);
        let mut value = full(keys, width);
        for d in 0..leads.rank() {
            if shared[d] && d % 2 == 0 {
                (key[d], value[d]) = (1, 1);
            }
        }
        let (wanted, ones, skipped, hidden) = mask;
        let scores = full(queries, keys);
        let skipped = skipped.min(leads.rank());
        let dims: Vec<_> = (skipped..scores.rank()).map(|d| if ones[d] { 1 } else { scores[d] }).collect();
        check(
            &AttentionDesc {
                query: laid_out(full(queries, depth), lays.0),
                key: laid_out(key, lays.1),
                value: laid_out(value, lays.2),
                mask: wanted.then(|| dense_rows(Shape::new(&dims), lays.3)),
                output: dense_rows(full(queries, width), lays.4),
                scale,
            },
            hidden,
        )
    });
}

/// Queries, keys and values as a linear layer's output, `(N, L, 3, H, E)`, and the result as the
/// next linear layer's input, `(N, L, H, E)`.
pub(crate) fn of_tokens(batch: usize, tokens: usize, heads: usize, depth: usize) -> AttentionDesc {
    let joint = View::contiguous(Shape::new(&[batch, tokens, 3, heads, depth]));
    let part = |i: usize| {
        let part = joint.slice(2, i, 1, 1).permute(&[2, 0, 3, 1, 4]);
        View { offset: 0, ..part.reshape(Shape::new(&[batch, heads, tokens, depth])).unwrap() }
    };
    AttentionDesc {
        query: part(0),
        key: part(1),
        value: part(2),
        mask: None,
        output: View::contiguous(Shape::new(&[batch, tokens, heads, depth])).permute(&[0, 2, 1, 3]),
        scale: (depth as f32).powf(-0.5),
    }
}

#[test]
fn attention_of_a_vision_transformer_and_of_windows() {
    check(&of_tokens(1, 197, 2, 64), 0).unwrap();
    let bias = View::contiguous(Shape::new(&[3, 49, 49]));
    check(&AttentionDesc { mask: Some(bias), ..of_tokens(4, 49, 3, 32) }, 0).unwrap();
}

#[test]
fn attention_with_many_keys_and_features() {
    // More than one chain of products, and blocks of few rows.
    let desc = AttentionDesc { scale: 0.5, ..of_tokens(1, 1100, 1, 8) };
    check(&desc, 0).unwrap();
    check(&of_tokens(1, 5, 1, 700), 0).unwrap();
}

#[test]
fn a_picture_has_the_same_bits_in_any_batch() {
    let (alone, batch) = (of_tokens(1, 50, 3, 16), of_tokens(3, 50, 3, 16));
    for isa in Isa::available() {
        let memory = random(View::contiguous(Shape::new(&[3, 50, 3, 3, 16])), 1);
        let one = |desc: &AttentionDesc, skip: usize| {
            let at = |i: usize| {
                let view = View::contiguous(Shape::new(&[memory.len() - skip - i * 48]));
                filled(view, |at| memory[skip + i * 48 + at])
            };
            let (q, k, v) = (at(0), at(1), at(2));
            run(&*prepare(desc, isa, 2), &[&q, &k, &v], desc.output)
        };
        let together = one(&batch, 0);
        let size = alone.output.shape.numel();
        for n in 0..3 {
            let alone = one(&alone, n * 3 * size);
            assert!(same_bits(&alone, &together[n * size..(n + 1) * size]), "{}", isa.name());
        }
    }
}

#[test]
fn rows_without_keys_and_rows_with_nan() {
    let desc = of_tokens(1, 3, 1, 4);
    let mask = View::contiguous(Shape::new(&[3, 3]));
    let desc = AttentionDesc { mask: Some(mask), ..desc };
    let x = random(desc.query, 1);
    let inf = f32::NEG_INFINITY;
    let mask_values = [inf, inf, inf, 0.0, f32::NAN, 0.0, inf, 0.0, inf];
    let memory = filled(mask, |i| mask_values[i]);
    for isa in Isa::available() {
        let found = run(&*prepare(&desc, isa, 1), &[&x, &x, &x, &memory], desc.output);
        assert!(found[..4].iter().all(|&y| y == 0.0), "{}: {found:?}", isa.name());
        assert!(found[4..8].iter().all(|y| y.is_nan()), "{}: {found:?}", isa.name());
        let only = values(desc.value, &x)[4..8].to_vec();
        assert_eq!(found[8..], only, "{}", isa.name());
    }
}
