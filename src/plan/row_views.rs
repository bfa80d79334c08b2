//! Values as rows of features, which kernels of rows can read and write in place.
//!
//! A kernel of rows treats a value as a map whose pixels are the rows. Up to three groups of
//! leading dimensions with even strides are its pictures, rows and columns, so slices and
//! permutations of tokens are read and written in place.

use crate::tensor::{FeatureMap, MAX_RANK, Shape, View};

/// The sizes of the groups of leading dimensions, outermost first.
pub(super) type Runs = [usize; 3];

/// The leading dimensions of views with the same leading sizes as at most three groups with even
/// strides in all of them; `trailing` dimensions are a row.
pub(super) fn runs(views: &[View], trailing: usize) -> Option<Runs> {
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

/// Whether the last `trailing` dimensions are dense.
pub(super) fn is_dense(view: &View, trailing: usize) -> bool {
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
/// If the view does not have this layout; the caller has checked it.
pub(super) fn map(view: &View, runs: Runs, trailing: usize) -> FeatureMap {
    let leads = view.shape.rank() - trailing;
    let features = view.shape[leads..].iter().product();
    let [pictures, rows, columns] = runs;
    let view = view.reshape(Shape::new(&[pictures, rows, columns, features])).expect("even runs");
    view.permute(&[0, 3, 1, 2]).feature_map()
}

/// The view with a dimension moved to the end.
pub(super) fn with_last(view: &View, dim: usize) -> View {
    let dims: Vec<_> = (0..view.shape.rank()).filter(|&d| d != dim).chain([dim]).collect();
    view.permute(&dims)
}

/// The same rows as a view of four dimensions.
pub(super) fn pixels(view: &View, runs: Runs) -> View {
    View { offset: view.offset, ..map(view, runs, 1).view() }
}
