//! Sizes that are only known in a run.

use super::context::Context;
use crate::error::Result;
use crate::tensor::Shape;

/// In the sizes of [`super::Reshape`] and [`super::Expand`]: the size that dimension `dim` of a
/// value has in a run. -1 has another meaning there, so these count down from -2.
pub const fn kept(dim: usize) -> i64 {
    -2 - dim as i64
}

/// The dimension of a [`kept`] size.
pub const fn kept_dim(size: i64) -> Option<usize> {
    if size <= kept(0) { Some((kept(0) - size) as usize) } else { None }
}

/// Sizes with those that are [`kept`] replaced by the sizes of `from`.
///
/// # Errors
/// If `from` does not have the dimension.
pub fn resolved(context: &Context, sizes: &[i64], from: Shape) -> Result<Vec<i64>> {
    let one = |&size: &i64| match kept_dim(size) {
        Some(dim) => context.has_dims(from, &[dim]).map(|()| from.get(dim).map_or(1, |&size| size as i64)),
        None => Ok(size),
    };
    sizes.iter().map(one).collect()
}
