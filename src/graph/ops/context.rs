//! The context that an operation's rules get from its node, and the checks that rules share.

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::tensor::{Param, Shape};

/// A parameter's name, and whether it is required.
pub type Role = (&'static str, bool);

/// The largest kernel, stride, padding, dilation and window: as in torch's pools, and far above any
/// map, so sums and products of two of them do not overflow.
const MOST: usize = i32::MAX as usize;

/// A node without its operation: the names for messages, and the parameters.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The name under which the operation was traced.
    pub name: &'a str,
    /// The name under which a residual was added to its result.
    pub sum_name: &'a str,
    /// The parameters' names.
    pub roles: &'static [Role],
    /// The parameters; `None` for an absent one.
    pub params: &'a [Option<Arc<Param>>],
}

// Checks of attributes and parameters, before the input's shape is known.
impl Context<'_> {
    /// An error unless an attribute `holds`.
    ///
    /// # Errors
    /// [`Error::Attribute`].
    pub fn is(&self, attribute: &'static str, expected: &str, found: impl Debug, holds: bool) -> Result<()> {
        if holds { Ok(()) } else { Err(self.attribute(attribute, expected.to_owned(), found)) }
    }

    /// An error unless all are between `least` and [`MOST`].
    ///
    /// # Errors
    /// [`Error::Attribute`].
    pub fn sizes_are<const N: usize>(
        &self,
        attribute: &'static str,
        least: usize,
        found: [usize; N],
    ) -> Result<()> {
        let expected = match found.iter().find(|size| !(least..=MOST).contains(size)) {
            None => return Ok(()),
            Some(&size) if size > MOST => format!("at most {MOST}"),
            Some(_) => "positive".into(),
        };
        match found[..] {
            [one] => self.is(attribute, &expected, one, false),
            _ => self.is(attribute, &expected, found, false),
        }
    }

    /// An error if a dimension is listed twice.
    ///
    /// # Errors
    /// [`Error::Attribute`].
    pub fn distinct(&self, attribute: &'static str, dims: &[usize]) -> Result<()> {
        let repeated = (1..dims.len()).any(|i| dims[..i].contains(&dims[i]));
        self.is(attribute, "without repetition", dims, !repeated)
    }

    /// The shape of a parameter, if present.
    pub fn param_shape(&self, index: usize) -> Option<Shape> {
        self.params.get(index).and_then(Option::as_ref).map(|param| param.shape())
    }

    /// The shape of the first parameter, which must be present.
    pub fn weight(&self) -> Shape {
        self.param_shape(0).unwrap_or_default()
    }

    /// An error if a parameter is present and its shape does not fit.
    ///
    /// # Errors
    /// [`Error::ParameterShape`].
    pub fn param_is(
        &self,
        index: usize,
        expected: impl Into<String>,
        holds: impl Fn(&Shape) -> bool,
    ) -> Result<()> {
        match self.param_shape(index) {
            Some(found) if !holds(&found) => Err(Error::ParameterShape {
                node: self.name.to_owned(),
                param: self.roles[index].0,
                expected: expected.into(),
                found,
            }),
            _ => Ok(()),
        }
    }

    /// An error if a parameter is present and is not a vector of this length.
    ///
    /// # Errors
    /// [`Error::ParameterShape`].
    pub fn vector(&self, index: usize, length: usize) -> Result<()> {
        self.param_is(index, format!("({length},)"), |shape| **shape == [length])
    }
}

// Shapes.
impl Context<'_> {
    /// Sizes as a shape.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn shape(&self, dims: &[usize]) -> Result<Shape> {
        Shape::try_new(dims).ok_or_else(|| Error::TooLarge {
            node: self.name.to_owned(),
            found: format!("the shape {dims:?}"),
        })
    }

    /// The sizes of pictures (N, C, H, W).
    ///
    /// # Errors
    /// [`Error::Rank`].
    pub fn pictures(&self, x: Shape) -> Result<[usize; 4]> {
        <[usize; 4]>::try_from(&*x).map_err(|_| self.rank("a 4-d input (N, C, H, W)", x))
    }

    /// The sizes of a possibly empty batch of non-empty pictures.
    ///
    /// # Errors
    /// [`Error::Rank`].
    pub fn filled_pictures(&self, x: Shape) -> Result<[usize; 4]> {
        let dims = self.pictures(x)?;
        if dims[1..].contains(&0) {
            return Err(self.rank("a 4-d input (N, C, H, W) where only N may be 0", x));
        }
        Ok(dims)
    }

    /// The leading sizes, and the last two.
    ///
    /// # Errors
    /// [`Error::Rank`].
    pub fn matrices(&self, x: Shape) -> Result<(Shape, [usize; 2])> {
        let [leads @ .., rows, columns] = &*x else {
            return Err(self.rank("an input of at least two dimensions", x));
        };
        Ok((Shape::new(leads), [*rows, *columns]))
    }

    /// An error for a scalar.
    ///
    /// # Errors
    /// [`Error::Rank`].
    pub fn at_least_1d(&self, x: Shape) -> Result<()> {
        if x.rank() == 0 { Err(self.rank("an input of at least one dimension", x)) } else { Ok(()) }
    }

    /// An error unless the input has all these dimensions. A scalar counts as having one, as in
    /// torch.
    ///
    /// # Errors
    /// [`Error::Attribute`].
    pub fn has_dims(&self, x: Shape, dims: &[usize]) -> Result<()> {
        match dims.iter().find(|&&d| d >= x.rank().max(1)) {
            None => Ok(()),
            Some(dim) => Err(self.attribute("dim", format!("a dimension of the input {x}"), dim)),
        }
    }

    /// The shape of an elementwise operation on two values.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn broadcast(&self, left: Shape, right: Shape) -> Result<Shape> {
        let rank = left.rank().max(right.rank());
        // Missing leading dimensions have size 1.
        let size = |shape: &Shape, d: usize| (d + shape.rank()).checked_sub(rank).map_or(1, |d| shape[d]);
        let mut dims = Vec::with_capacity(rank);
        for d in 0..rank {
            dims.push(match (size(&left, d), size(&right, d)) {
                (1, b) => b,
                (a, 1) => a,
                (a, b) if a == b => a,
                _ => return Err(self.mismatch("broadcast together".into(), left, right)),
            });
        }
        self.shape(&dims)
    }

    /// The first shape, if the second one broadcasts to it: the shape of an in-place operation.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn in_place(&self, left: Shape, right: Shape) -> Result<Shape> {
        let shape = self.broadcast(left, right)?;
        if shape == left {
            return Ok(left);
        }
        let operation = "combined in place, where the result must have the first one's shape";
        Err(self.mismatch(operation.to_owned(), left, right))
    }

    /// The second shape, if the first one broadcasts to it.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn broadcast_to(&self, from: Shape, to: Shape, operation: &str) -> Result<Shape> {
        let fits = from.rank() <= to.rank()
            && from.iter().rev().zip(to.iter().rev()).all(|(&from, &to)| from == to || from == 1);
        if fits { Ok(to) } else { Err(self.mismatch(operation.to_owned(), from, to)) }
    }
}

// Errors.
impl Context<'_> {
    /// The error for an attribute out of range.
    pub fn attribute(&self, attribute: &'static str, expected: String, found: impl Debug) -> Error {
        Error::Attribute { node: self.name.to_owned(), attribute, expected, found: format!("{found:?}") }
    }

    /// The error for an input with the wrong number of dimensions.
    pub fn rank(&self, expected: &'static str, input: Shape) -> Error {
        Error::Rank { node: self.name.to_owned(), expected, input }
    }

    /// The error for sizes that do not fit the input.
    pub fn sizes(&self, expected: String, found: &[i64]) -> Error {
        Error::Sizes { node: self.name.to_owned(), expected, found: found.to_vec() }
    }

    /// The error for an input whose channels or features differ from a parameter's.
    pub fn channels(
        &self,
        param: &'static str,
        unit: &'static str,
        expected: usize,
        found: usize,
        input: Shape,
    ) -> Error {
        Error::Channels { node: self.name.to_owned(), param, unit, expected, found, input }
    }

    /// The error for two incompatible shapes.
    pub fn mismatch(&self, operation: String, left: Shape, right: Shape) -> Error {
        Error::Mismatch { node: self.sum_name.to_owned(), operation, left, right }
    }
}
