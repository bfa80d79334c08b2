//! Attributes as text.

use std::fmt::{self, Write};

use super::sizes::kept_dim;

/// A pair of sizes, unless both are 1.
pub fn write_pair(out: &mut String, name: &str, pair: [usize; 2]) -> fmt::Result {
    match pair {
        [1, 1] => Ok(()),
        [h, w] if h == w => write!(out, " {name} {h}"),
        [h, w] => write!(out, " {name} {h}x{w}"),
    }
}

/// Top, left, bottom, right, unless all are 0.
pub fn write_padding(out: &mut String, sides: [usize; 4]) -> fmt::Result {
    match sides {
        [0, 0, 0, 0] => Ok(()),
        [t, l, b, r] if t == l && l == b && b == r => write!(out, " padding {t}"),
        sides => write!(out, " padding {sides:?}"),
    }
}

/// Sizes as requested; `dim 0` is the size that dimension 0 has in a run.
pub fn write_sizes(out: &mut String, sizes: &[i64]) -> fmt::Result {
    let one = |&size: &i64| kept_dim(size).map_or_else(|| size.to_string(), |dim| format!("dim {dim}"));
    write!(out, " to [{}]", sizes.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Output height and width of a pool to a given size.
pub fn write_output(out: &mut String, output: [Option<usize>; 2]) -> fmt::Result {
    let [h, w] = output.map(|size| size.map_or_else(|| "same".to_owned(), |n| n.to_string()));
    write!(out, " output ({h}, {w})")
}
