//! Sizes that come with the run.

use super::context::Context;
use crate::error::Result;
use crate::tensor::Shape;

/// In the sizes of [`super::Reshape`] and [`super::Expand`]: whatever size dimension `dim` of a value has in a
/// run. -1 means something else there, so these count from -2 down.
pub const fn kept(dim: usize) -> i64 {
    -2 - dim as i64
}

/// The dimension that a size stands for, if it is [`kept`].
pub const fn kept_dim(size: i64) -> Option<usize> {
    if size <= kept(0) { Some((kept(0) - size) as usize) } else { None }
}

/// Sizes in which those that are [`kept`] are those of `from`.
///
/// # Errors
/// If `from` has no such dimension.
pub fn resolved(context: &Context, sizes: &[i64], from: Shape) -> Result<Vec<i64>> {
    let one = |&size: &i64| match kept_dim(size) {
        Some(dim) => context.has_dims(from, &[dim]).map(|()| from.get(dim).map_or(1, |&size| size as i64)),
        None => Ok(size),
    };
    sizes.iter().map(one).collect()
}
