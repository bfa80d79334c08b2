//! Lowering of what works on rows of features: linear layers, layer norm, attention, products.
//!
//! A kernel of rows sees a value as a map whose pixels are the rows. Up to three runs of leading
//! dimensions that lie evenly are its pictures, rows and columns, so that slices and permutations of
//! tokens are read and written where they are.

use super::compile::{Compiler, Place, Value};
use super::lower::Geometry;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{attention, copy, matmul, norm};
use crate::tensor::{FeatureMap, MAX_RANK, Order, Shape, View};

/// How many elements the runs of leading dimensions have, outermost first.
type Runs = [usize; 3];

/// The leading dimensions of views of the same leading sizes as at most three runs that lie evenly
/// in all of them; `trailing` dimensions are a row.
fn runs(views: &[View], trailing: usize) -> Option<Runs> {
    let shape = views[0].shape;
    let mut sizes: Vec<usize> = Vec::with_capacity(MAX_RANK);
    let mut last: Option<usize> = None;
    for d in (0..shape.rank() - trailing).filter(|&d| shape[d] != 1) {
        let continues = |view: &View, last: usize| view.strides[last] == shape[d] * view.strides[d];
        match (last, sizes.last_mut()) {
            (Some(last), Some(size)) if views.iter().all(|view| continues(view, last)) => *size *= shape[d],
            _ => sizes.push(shape[d]),
        }
        last = Some(d);
    }
    match *sizes {
        [] => Some([1, 1, 1]),
        [rows] => Some([rows, 1, 1]),
        [pictures, columns] => Some([pictures, 1, columns]),
        [pictures, rows, columns] => Some([pictures, rows, columns]),
        _ => None,
    }
}

/// Whether the last `trailing` dimensions lie densely.
fn is_dense(view: &View, trailing: usize) -> bool {
    let (mut step, rank) = (1, view.shape.rank());
    (rank - trailing..rank).rev().all(|d| {
        let dense = view.shape[d] == 1 || view.strides[d] == step;
        step *= view.shape[d];
        dense
    })
}

/// Whether a kernel of rows can write to a view.
pub(super) fn are_rows(view: &View, trailing: usize) -> bool {
    is_dense(view, trailing) && runs(&[*view], trailing).is_some()
}

/// The rows as pixels of a map.
///
/// # Panics
/// If the view does not lie like this, which the caller has seen to.
fn map(view: &View, runs: Runs, trailing: usize) -> FeatureMap {
    let leads = view.shape.rank() - trailing;
    let features = view.shape[leads..].iter().product();
    let [pictures, rows, columns] = runs;
    let view = view.reshape(Shape::new(&[pictures, rows, columns, features])).expect("even runs");
    view.permute(&[0, 3, 1, 2]).feature_map()
}

/// The view with a dimension as its last.
pub(super) fn with_last(view: &View, dim: usize) -> View {
    let dims: Vec<_> = (0..view.shape.rank()).filter(|&d| d != dim).chain([dim]).collect();
    view.permute(&dims)
}

impl Compiler<'_> {
    /// A linear layer is a convolution of 1x1 maps; behind a flattened feature map, it is one whose
    /// kernel covers the map.
    pub fn linear(&mut self, id: NodeId) -> Result<Place> {
        let node = self.node(id);
        let layout = self.layout(id);
        let to = self.wanted(id).map_or(layout, |place| place.view);
        let residual = node.fused.residual.then(|| self.place(node.inputs[1]));
        let fits = |residual: &Place| is_dense(&residual.view, 1) && runs(&[to, residual.view], 1).is_some();
        let residual = residual
            .map(|residual| if fits(&residual) { residual } else { self.copy(&node.name, residual, layout) });
        let with_residual = |view: View| {
            let views: Vec<_> = [to, view].into_iter().chain(residual.map(|place| place.view)).collect();
            runs(&views, 1)
        };
        if let Value::Flat(pictures) = self.value(node.inputs[0]) {
            let kernel = [pictures.view.shape[2], pictures.view.shape[3]];
            let runs = with_residual(to).expect("a matrix");
            return self
                .product(id, pictures, residual, Geometry::whole(kernel), layout, |view| map(view, runs, 1));
        }
        let mut from = self.place(node.inputs[0]);
        let mut runs = with_residual(from.view).filter(|_| is_dense(&from.view, 1));
        if runs.is_none() {
            from = self.copy(&node.name, from, View::contiguous(from.view.shape));
            runs = with_residual(from.view);
        }
        let Some(runs) = runs else {
            // Result and residual, each even by itself, lie too differently.
            let residual = residual.expect("the input lies densely");
            let residual = self.copy(&node.name, residual, layout);
            let runs = self::runs(&[to, from.view, residual.view], 1).expect("dense rows and the result's");
            let from = from.with(pixels(&from.view, runs));
            return self.product(id, from, Some(residual), Geometry::whole([1, 1]), layout, |view| {
                map(view, runs, 1)
            });
        };
        let from = from.with(pixels(&from.view, runs));
        self.product(id, from, residual, Geometry::whole([1, 1]), layout, |view| map(view, runs, 1))
    }

    /// The operand and the result of a norm, and both as maps. In the views that `order` makes of
    /// theirs, the last `trailing` dimensions are a row; in `plain` rows follow each other evenly.
    fn normed(
        &mut self,
        id: NodeId,
        plain: View,
        order: impl Fn(&View) -> View,
        trailing: usize,
    ) -> (Place, Place, [FeatureMap; 2]) {
        let node = self.node(id);
        let mut from = self.place(node.inputs[0]);
        if !is_dense(&order(&from.view), trailing) {
            from = self.copy(&node.name, from, self.layout(id));
        }
        let mut layout = self.pointwise_layout(id, from.view);
        let wanted = self.wanted(id).map(|place| place.view);
        let both = |from: &View, to: &View| runs(&[order(from), order(to)], trailing);
        let mut runs = both(&from.view, &wanted.unwrap_or(layout));
        if runs.is_none() {
            from = self.copy(&node.name, from, plain);
            layout = plain;
            runs = both(&from.view, &wanted.unwrap_or(layout));
        }
        let runs = runs.expect("rows that are one run on the one side, and few on the other");
        let to = self.target_over(id, from, layout);
        let maps = [from, to].map(|place| map(&order(&place.view), runs, trailing));
        (from, to, maps)
    }

    pub fn layer_norm(&mut self, id: NodeId, trailing: usize, eps: f64) -> Result<Place> {
        let node = self.node(id);
        let (from, to, [input, output]) =
            self.normed(id, View::contiguous(self.shape(id)), |view| *view, trailing);
        let desc = norm::LayerNormDesc { input, output, epsilon: eps as f32 };
        let [weight, bias] = [0, 1].map(|i| node.param(i).map(|param| param.data()));
        let kernel = norm::prepare_layer(&desc, weight.as_deref(), bias.as_deref(), self.isa, self.threads)?;
        self.step(&node.name, kernel, &[from], to);
        Ok(to)
    }

    pub fn normalize(&mut self, id: NodeId, dim: usize, eps: f32) -> Place {
        let shape = self.shape(id);
        let plain = Order::logical(shape.rank()).with_last(dim).layout(shape);
        let (from, to, [input, output]) = self.normed(id, plain, |view| with_last(view, dim), 1);
        let desc = norm::NormalizeDesc { input, output, epsilon: eps };
        let kernel = norm::prepare_normalize(&desc, self.isa, self.threads);
        self.step(&self.node(id).name, kernel, &[from], to);
        to
    }

    pub fn attention(&mut self, id: NodeId, scale: Option<f32>) -> Place {
        let node = self.node(id);
        let [query, key, value] = [0, 1, 2].map(|i| self.place(node.inputs[i]));
        let mask = node.inputs.get(3).map(|&mask| {
            let place = self.place(mask);
            let dense = place.view.shape.last().is_none_or(|&size| size == 1) || is_dense(&place.view, 1);
            if dense { place } else { self.copy(&node.name, place, View::contiguous(place.view.shape)) }
        });
        let to = self.target(id, self.layout(id));
        let rank = query.view.shape.rank();
        let depth = query.view.shape[rank - 1];
        let desc = attention::AttentionDesc {
            query: query.view,
            key: key.view,
            value: value.view,
            mask: mask.map(|place| place.view),
            output: to.view,
            scale: scale.unwrap_or_else(|| (1.0 / (depth.max(1) as f64).sqrt()) as f32),
        };
        let kernel = attention::prepare(&desc, self.isa, self.threads);
        let operands: Vec<Place> = [query, key, value].into_iter().chain(mask).collect();
        let keys = key.view.shape[rank - 2];
        let width = to.view.shape[rank - 1].max(1);
        let macs = (to.view.shape.numel() / width).saturating_mul(keys).saturating_mul(depth + width);
        self.product_step(&node.name, macs, kernel, &operands, to);
        to
    }

    pub fn matmul(&mut self, id: NodeId) -> Place {
        let node = self.node(id);
        let [mut left, right] = [0, 1].map(|i| self.place(node.inputs[i]));
        if !is_dense(&left.view, 1) {
            left = self.copy(&node.name, left, View::contiguous(left.view.shape));
        }
        let to = self.target(id, View::contiguous(self.shape(id)));
        let desc = matmul::MatMulDesc { left: left.view, right: right.view, output: to.view };
        let kernel = matmul::prepare(&desc, self.isa, self.threads);
        let depth = left.view.shape.last().copied().unwrap_or(1);
        self.product_step(
            &node.name,
            to.view.shape.numel().saturating_mul(depth),
            kernel,
            &[left, right],
            to,
        );
        to
    }

    /// Copies of the pieces between which the dimensions are cut.
    pub fn roll(&mut self, id: NodeId, shifts: &[(usize, i64)]) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let to = self.target(id, self.layout(id));
        let mut pieces = vec![(from.view, to.view)];
        for &(dim, shift) in shifts {
            let size = from.view.shape[dim];
            let front = shift.rem_euclid(size as i64) as usize;
            let mut cut = Vec::with_capacity(2 * pieces.len());
            for (from, to) in pieces {
                cut.push((from.slice(dim, 0, size - front, 1), to.slice(dim, front, size - front, 1)));
                if front > 0 {
                    cut.push((from.slice(dim, size - front, front, 1), to.slice(dim, 0, front, 1)));
                }
            }
            pieces = cut;
        }
        for (input, output) in pieces {
            let kernel = copy::prepare(&copy::CopyDesc { input, output }, self.threads);
            self.step(&node.name, kernel, &[from.with(input)], to.with(output));
        }
        to
    }
}

/// The same rows as a view of four dimensions.
fn pixels(view: &View, runs: Runs) -> View {
    View { offset: view.offset, ..map(view, runs, 1).view() }
}
