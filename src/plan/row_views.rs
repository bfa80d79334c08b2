//! Values as rows of features: what a kernel of rows can read and write where it lies.
//!
//! A kernel of rows sees a value as a map whose pixels are the rows. Up to three runs of leading
//! dimensions that lie evenly are its pictures, rows and columns, so that slices and permutations of
//! tokens are read and written where they are.

use crate::tensor::{FeatureMap, MAX_RANK, Shape, View};

/// How many elements the runs of leading dimensions have, outermost first.
pub(super) type Runs = [usize; 3];

/// The leading dimensions of views of the same leading sizes as at most three runs that lie evenly
/// in all of them; `trailing` dimensions are a row.
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

/// Whether the last `trailing` dimensions lie densely.
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
/// If the view does not lie like this, which the caller has seen to.
pub(super) fn map(view: &View, runs: Runs, trailing: usize) -> FeatureMap {
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

/// The same rows as a view of four dimensions.
pub(super) fn pixels(view: &View, runs: Runs) -> View {
    View { offset: view.offset, ..map(view, runs, 1).view() }
}
