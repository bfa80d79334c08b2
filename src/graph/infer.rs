//! Shapes of values, by torch's rules.
//!
//! A node's attributes and parameters have been checked when it was built (`check.rs`); what can
//! still go wrong here depends on the inputs' sizes.

use crate::error::{Error, Result};
use crate::tensor::Shape;

use super::op::kept_dim;
use super::{Conv2d, ConvPadding, Graph, Node, Op, Window};

/// The shape of every node's value, in the order of the nodes, for inputs of these shapes.
///
/// # Errors
/// The first node that does not fit, by name.
pub fn infer_shapes(graph: &Graph, inputs: &[Shape]) -> Result<Vec<Shape>> {
    if inputs.len() != graph.inputs.len() {
        return Err(Error::Input {
            what: "graph".into(),
            expected: format!("{} input(s)", graph.inputs.len()),
            found: inputs.len().to_string(),
        });
    }
    let mut given = vec![None; graph.nodes.len()];
    for (id, shape) in graph.inputs.iter().zip(inputs) {
        given[id.0] = Some(*shape);
    }
    let mut shapes: Vec<Shape> = Vec::with_capacity(graph.nodes.len());
    let mut read = Vec::new();
    for (node, given) in graph.nodes.iter().zip(given) {
        read.clear();
        read.extend(node.inputs.iter().map(|id| shapes[id.0]));
        shapes.push(match given {
            Some(shape) => shape,
            None => node_shape(node, &read)?,
        });
    }
    Ok(shapes)
}

/// The shape of a node's value for inputs of these shapes; not for [`Op::Input`].
pub(super) fn node_shape(node: &Node, inputs: &[Shape]) -> Result<Shape> {
    let infer = Infer { node };
    let sum = infer.unfused(inputs)?;
    match inputs {
        [.., residual] if node.fused.residual => infer.broadcast(sum, *residual),
        _ => Ok(sum),
    }
}

/// Zeros around the picture (top, left, bottom, right) and the output's height and width of a
/// convolution; `None` if the kernel does not fit even once.
pub fn conv_geometry(
    conv: &Conv2d,
    kernel: [usize; 2],
    input: [usize; 2],
) -> Option<([usize; 4], [usize; 2])> {
    let mut output = [0; 2];
    let mut padding = [0; 4];
    for axis in 0..2 {
        let extent = extent(kernel[axis], conv.dilation[axis]);
        let stride = conv.stride[axis];
        let [before, after] = match conv.padding {
            ConvPadding::Explicit(sides) => [sides[axis], sides[axis + 2]],
            ConvPadding::SameUpper => {
                let covered = extent + (input[axis].div_ceil(stride).max(1) as i128 - 1) * stride as i128;
                let missing = usize::try_from((covered - input[axis] as i128).max(0)).ok()?;
                [missing / 2, missing.div_ceil(2)]
            }
        };
        output[axis] = windows(input[axis] as i128 + before as i128 + after as i128 - extent, stride)?;
        [padding[axis], padding[axis + 2]] = [before, after];
    }
    (input.iter().all(|&size| size > 0)).then_some((padding, output))
}

/// Height and width of a pool's output; `None` if the window does not fit even once.
pub fn pool_geometry(window: &Window, input: [usize; 2]) -> Option<[usize; 2]> {
    let mut output = [0; 2];
    for axis in 0..2 {
        let stride = window.stride[axis];
        let begin = input[axis] as i128 + window.padding[axis] as i128;
        let room =
            begin + window.padding[axis + 2] as i128 - extent(window.kernel[axis], window.dilation[axis]);
        let overhang = if window.ceil_mode { stride as i128 - 1 } else { 0 };
        output[axis] = windows(room + overhang, stride)?;
        // A window that starts behind the picture would see padding only.
        if window.ceil_mode && (output[axis] as i128 - 1) * stride as i128 >= begin {
            output[axis] -= 1;
        }
    }
    (input.iter().all(|&size| size > 0)).then_some(output)
}

/// Pixels that a kernel spans.
fn extent(kernel: usize, dilation: usize) -> i128 {
    // Beyond any picture, with room for the sums it appears in.
    const BEYOND: i128 = i128::MAX / 4;
    (kernel as i128 - 1).saturating_mul(dilation as i128).min(BEYOND) + 1
}

/// How many windows start within `room` pixels after the first.
fn windows(room: i128, stride: usize) -> Option<usize> {
    // More than can be counted is more than can be stored, which the caller finds out.
    (room >= 0).then(|| usize::try_from(room / stride as i128 + 1).unwrap_or(usize::MAX))
}

/// The first and one past the last index of a slice along a dimension of `size`, as Python counts.
pub fn slice_bounds(start: Option<i64>, stop: Option<i64>, size: usize) -> (usize, usize) {
    let clamp = |bound: i64| {
        let from_front = if bound < 0 { i128::from(bound) + size as i128 } else { bound.into() };
        from_front.clamp(0, size as i128) as usize
    };
    let start = start.map_or(0, clamp);
    (start, stop.map_or(size, clamp).max(start))
}

/// The rules, with the node to blame.
struct Infer<'a> {
    node: &'a Node,
}

const PICTURES: &str = "a 4-d input (N, C, H, W)";

impl Infer<'_> {
    fn name(&self) -> String {
        self.node.traced_name().to_owned()
    }

    fn unfused(&self, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs.first().copied().unwrap_or_default();
        match &self.node.op {
            Op::Input => unreachable!("an input's shape comes with the run"),
            Op::Activation(_) | Op::Identity | Op::BinaryScalar { .. } => Ok(x),
            Op::Conv2d(conv) => self.conv2d(conv, x),
            Op::Linear => self.linear(x),
            Op::BatchNorm { .. } => self.batch_norm(x),
            Op::Constant => Ok(self.weight()),
            Op::LayerNorm { shape, .. } => self.layer_norm(shape, x),
            Op::Normalize { dim, .. } => {
                self.at_least_1d(x)?;
                self.has_dims(x, &[*dim]).map(|()| x)
            }
            Op::Attention { .. } => self.attention(inputs),
            Op::MatMul => self.matmul(x, inputs[1]),
            Op::PRelu => self.prelu(x),
            Op::Softmax { dim, .. } => self.has_dims(x, &[*dim]).map(|()| x),
            Op::MaxPool2d(window) | Op::AvgPool2d { window, .. } => self.pool(window, x),
            Op::AdaptiveAvgPool2d { output } | Op::AdaptiveMaxPool2d { output } => {
                let [n, c, h, w] = self.filled_pictures(x)?;
                self.shape(&[n, c, output[0].unwrap_or(h), output[1].unwrap_or(w)])
            }
            Op::LocalResponseNorm { .. } => self.pictures(x).map(|_| x),
            Op::Binary(_) => self.broadcast(x, inputs[1]),
            Op::Mean { dims, keepdim } => self.mean(dims, *keepdim, x),
            Op::Reshape { dims } => self.reshape(&self.resolved(dims, x)?, x),
            Op::Flatten { start, end } => self.flatten(*start, *end, x),
            Op::Permute { dims } => self.permute(dims, x),
            Op::Unflatten { dim, sizes } => self.unflatten(*dim, sizes, x),
            Op::Expand { sizes, like } => {
                self.expand(&self.resolved(sizes, if *like { inputs[1] } else { x })?, x)
            }
            Op::ExpandAs => self.broadcast_to(x, inputs[1], "expanded to the second one's shape"),
            Op::Roll { shifts } => {
                self.at_least_1d(x)?;
                self.has_dims(x, &shifts.iter().map(|&(dim, _)| dim).collect::<Vec<_>>()).map(|()| x)
            }
            Op::Slice { dim, start, stop, step, index } => {
                self.has_dims(x, &[*dim])?;
                self.at_least_1d(x)?;
                if *index {
                    self.within(start.unwrap_or(0), *dim, x)?;
                }
                let (first, behind) = slice_bounds(*start, *stop, x[*dim]);
                let mut out = x;
                out[*dim] = (behind - first).div_ceil(*step);
                Ok(out)
            }
            Op::Concat { dim } => self.concat(*dim, inputs),
            Op::Pad { pads, .. } => self.pad(pads, x),
        }
    }

    fn conv2d(&self, conv: &Conv2d, x: Shape) -> Result<Shape> {
        let [n, c, h, w] = self.pictures(x)?;
        let weight = self.weight();
        let channels = weight[1] * conv.groups;
        if c != channels {
            return Err(self.channels("weight", "channels", channels, c, x));
        }
        let kernel = [weight[2], weight[3]];
        let Some((around, [oh, ow])) = conv_geometry(conv, kernel, [h, w]) else {
            let padding = match conv.padding {
                ConvPadding::Explicit(sides) => sides,
                ConvPadding::SameUpper => [0; 4],
            };
            return Err(self.window_too_large(kernel, conv.dilation, padding, x));
        };
        self.padded(x, around)?;
        self.shape(&[n, weight[0], oh, ow])
    }

    /// Whether a map with zeros around it could be stored, as some kernels do.
    fn padded(&self, x: Shape, sides: [usize; 4]) -> Result<()> {
        let [top, left, bottom, right] = sides;
        let beyond =
            |size: usize, before: usize, after: usize| size.saturating_add(before).saturating_add(after);
        let dims = [x[0], x[1], beyond(x[2], top, bottom), beyond(x[3], left, right)];
        match Shape::try_new(&dims) {
            Some(_) => Ok(()),
            None => Err(self.attribute(
                "padding",
                format!("such that the padded input {dims:?} fits memory"),
                sides,
            )),
        }
    }

    fn linear(&self, x: Shape) -> Result<Shape> {
        self.at_least_1d(x)?;
        let weight = self.weight();
        let last = x.rank() - 1;
        if x[last] != weight[1] {
            return Err(self.channels("weight", "features", weight[1], x[last], x));
        }
        let mut dims = x.to_vec();
        dims[last] = weight[0];
        self.shape(&dims)
    }

    fn batch_norm(&self, x: Shape) -> Result<Shape> {
        if !(2..=4).contains(&x.rank()) {
            return Err(self.rank("a 2-d to 4-d input with channels as its second dimension", x));
        }
        let channels = self.node.params[2].as_ref().map_or(0, |mean| mean.shape().numel());
        if x[1] != channels {
            return Err(self.channels("running_mean", "channels", channels, x[1], x));
        }
        Ok(x)
    }

    fn layer_norm(&self, shape: &[usize], x: Shape) -> Result<Shape> {
        if x.ends_with(shape) {
            return Ok(x);
        }
        Err(self.attribute("normalized_shape", format!("the last sizes of the input {x}"), shape))
    }

    /// The sizes before the last two, and those.
    fn matrices(&self, x: Shape) -> Result<(Shape, [usize; 2])> {
        let [leads @ .., rows, columns] = &*x else {
            return Err(self.rank("an input of at least two dimensions", x));
        };
        Ok((Shape::new(leads), [*rows, *columns]))
    }

    fn attention(&self, inputs: &[Shape]) -> Result<Shape> {
        let [query, key, value] = [inputs[0], inputs[1], inputs[2]];
        let (leads, [queries, depth]) = self.matrices(query)?;
        let (key_leads, [keys, key_depth]) = self.matrices(key)?;
        let (value_leads, [values, width]) = self.matrices(value)?;
        if key.rank() != query.rank() || key_depth != depth {
            return Err(self.mismatch("queries (..., L, E) and keys (..., S, E)".into(), query, key));
        }
        if value.rank() != query.rank() || values != keys {
            return Err(self.mismatch("keys (..., S, E) and values (..., S, F)".into(), key, value));
        }
        let leads = self.broadcast(self.broadcast(leads, key_leads)?, value_leads)?;
        let scores = self.shape(&[&leads, &[queries, keys][..]].concat())?;
        if let Some(&mask) = inputs.get(3) {
            self.broadcast_to(mask, scores, "a mask and scores (..., L, S)")?;
        }
        self.shape(&[&leads, &[queries, width][..]].concat())
    }

    fn matmul(&self, left: Shape, right: Shape) -> Result<Shape> {
        let (leads, [rows, depth]) = self.matrices(left)?;
        let (right_leads, [right_depth, columns]) = self.matrices(right)?;
        if depth != right_depth {
            return Err(self.mismatch("multiplied as (..., M, K) and (..., K, N)".into(), left, right));
        }
        self.shape(&[&self.broadcast(leads, right_leads)?, &[rows, columns][..]].concat())
    }

    fn prelu(&self, x: Shape) -> Result<Shape> {
        let slopes = self.weight().numel();
        let channels = x.get(1).copied().unwrap_or(1);
        if slopes == 1 || slopes == channels {
            return Ok(x);
        }
        Err(self.channels("weight", "channels", slopes, channels, x))
    }

    fn pool(&self, window: &Window, x: Shape) -> Result<Shape> {
        let [n, c, h, w] = self.filled_pictures(x)?;
        match pool_geometry(window, [h, w]) {
            Some([oh, ow]) => self.shape(&[n, c, oh, ow]),
            None => Err(self.window_too_large(window.kernel, window.dilation, window.padding, x)),
        }
    }

    fn mean(&self, dims: &[usize], keepdim: bool, x: Shape) -> Result<Shape> {
        self.has_dims(x, dims)?;
        let kept: Vec<_> = (0..x.rank())
            .filter(|d| keepdim || !dims.contains(d))
            .map(|d| if dims.contains(&d) { 1 } else { x[d] })
            .collect();
        self.shape(&kept)
    }

    /// Sizes without [`kept`] ones, which are those of `from`.
    fn resolved(&self, sizes: &[i64], from: Shape) -> Result<Vec<i64>> {
        let one = |&size: &i64| match kept_dim(size) {
            Some(dim) => self.has_dims(from, &[dim]).map(|()| from.get(dim).map_or(1, |&size| size as i64)),
            None => Ok(size),
        };
        sizes.iter().map(one).collect()
    }

    /// Whether an index, which may be negative, is one of a dimension.
    fn within(&self, index: i64, dim: usize, x: Shape) -> Result<()> {
        let size = x[dim] as i128;
        if (-size..size).contains(&index.into()) {
            return Ok(());
        }
        Err(Error::Index { node: self.name(), index, dim, input: x })
    }

    fn reshape(&self, dims: &[i64], x: Shape) -> Result<Shape> {
        let fail = || Error::Reshape { node: self.name(), input: x, to: dims.to_vec() };
        let known = dims
            .iter()
            .filter(|&&d| d != -1)
            .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
            .ok_or_else(fail)?;
        let free = x.numel().checked_div(known).unwrap_or(0);
        let sizes: Vec<_> = dims.iter().map(|&d| usize::try_from(d).unwrap_or(free)).collect();
        let fits =
            if dims.contains(&-1) { known * free == x.numel() && known > 0 } else { known == x.numel() };
        if fits { self.shape(&sizes) } else { Err(fail()) }
    }

    fn flatten(&self, start: usize, end: usize, x: Shape) -> Result<Shape> {
        if x.rank() == 0 && end == 0 {
            return self.shape(&[1]);
        }
        self.has_dims(x, &[end])?;
        let mut dims = x[..start].to_vec();
        dims.push(x[start..=end].iter().product());
        dims.extend(&x[end + 1..]);
        self.shape(&dims)
    }

    fn unflatten(&self, dim: usize, sizes: &[i64], x: Shape) -> Result<Shape> {
        self.at_least_1d(x)?;
        self.has_dims(x, &[dim])?;
        let fail = || self.sizes(format!("of {} elements, as dim {dim} of {x}", x[dim]), sizes);
        let known = sizes
            .iter()
            .filter(|&&size| size != -1)
            .try_fold(1_usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?))
            .ok_or_else(fail)?;
        let free = x[dim].checked_div(known).unwrap_or(0);
        let whole = if sizes.contains(&-1) { known * free } else { known };
        if whole != x[dim] || (known == 0 && sizes.contains(&-1)) {
            return Err(fail());
        }
        let sizes = sizes.iter().map(|&size| usize::try_from(size).unwrap_or(free));
        let dims: Vec<_> =
            x[..dim].iter().copied().chain(sizes).chain(x[dim + 1..].iter().copied()).collect();
        self.shape(&dims)
    }

    fn expand(&self, sizes: &[i64], x: Shape) -> Result<Shape> {
        let fail = || self.sizes(format!("such that {x} broadcasts to them, or -1"), sizes);
        let missing = sizes.len().checked_sub(x.rank()).ok_or_else(fail)?;
        let mut dims = Vec::with_capacity(sizes.len());
        for (d, &size) in sizes.iter().enumerate() {
            let own = d.checked_sub(missing).map(|d| x[d]);
            dims.push(match (own, usize::try_from(size)) {
                (Some(1) | None, Ok(size)) => size,
                (Some(own), Ok(size)) if own == size => own,
                (Some(own), Err(_)) => own,
                _ => return Err(fail()),
            });
        }
        self.shape(&dims)
    }

    fn permute(&self, dims: &[usize], x: Shape) -> Result<Shape> {
        if dims.len() != x.rank() {
            return Err(self.attribute("dims", format!("one per dimension of the input {x}"), dims));
        }
        let sizes: Vec<_> = dims.iter().map(|&d| x[d]).collect();
        self.shape(&sizes)
    }

    fn concat(&self, dim: usize, inputs: &[Shape]) -> Result<Shape> {
        let mut out = inputs[0];
        self.at_least_1d(out)?;
        self.has_dims(out, &[dim])?;
        let mut total = 0usize;
        for &x in inputs {
            let fits = x.rank() == out.rank() && (0..x.rank()).all(|d| d == dim || x[d] == out[d]);
            if !fits {
                return Err(self.mismatch(format!("concatenated along dim {dim}"), inputs[0], x));
            }
            total = total.saturating_add(x[dim]);
        }
        out[dim] = total;
        self.shape(&out)
    }

    fn pad(&self, pads: &[[usize; 2]], x: Shape) -> Result<Shape> {
        if pads.len() != x.rank() {
            return Err(self.attribute("pads", format!("one pair per dimension of the input {x}"), pads));
        }
        let dims: Vec<_> = x
            .iter()
            .zip(pads)
            .map(|(size, [before, after])| size.saturating_add(*before).saturating_add(*after))
            .collect();
        self.shape(&dims)
    }

    fn broadcast(&self, left: Shape, right: Shape) -> Result<Shape> {
        let rank = left.rank().max(right.rank());
        // Missing dimensions stand in front and have size 1.
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

    /// The second shape, if the first one broadcasts to it.
    fn broadcast_to(&self, from: Shape, to: Shape, operation: &str) -> Result<Shape> {
        let fits = from.rank() <= to.rank()
            && from.iter().rev().zip(to.iter().rev()).all(|(&from, &to)| from == to || from == 1);
        if fits { Ok(to) } else { Err(self.mismatch(operation.to_owned(), from, to)) }
    }

    // --- what the rules share ---------------------------------------------------------

    fn weight(&self) -> Shape {
        self.node.param(0).map_or_else(Shape::default, |weight| weight.shape())
    }

    fn pictures(&self, x: Shape) -> Result<[usize; 4]> {
        <[usize; 4]>::try_from(&*x).map_err(|_| self.rank(PICTURES, x))
    }

    fn filled_pictures(&self, x: Shape) -> Result<[usize; 4]> {
        let dims = self.pictures(x)?;
        if dims[1..].contains(&0) {
            return Err(self.rank("a 4-d input (N, C, H, W) where only N may be 0", x));
        }
        Ok(dims)
    }

    fn at_least_1d(&self, x: Shape) -> Result<()> {
        if x.rank() == 0 { Err(self.rank("an input of at least one dimension", x)) } else { Ok(()) }
    }

    /// A scalar counts as having one dimension, as in torch.
    fn has_dims(&self, x: Shape, dims: &[usize]) -> Result<()> {
        match dims.iter().find(|&&d| d >= x.rank().max(1)) {
            None => Ok(()),
            Some(dim) => Err(self.attribute("dim", format!("a dimension of the input {x}"), dim)),
        }
    }

    fn shape(&self, dims: &[usize]) -> Result<Shape> {
        Shape::try_new(dims)
            .ok_or_else(|| Error::TooLarge { node: self.name(), found: format!("the shape {dims:?}") })
    }

    fn rank(&self, expected: &'static str, input: Shape) -> Error {
        Error::Rank { node: self.name(), expected, input }
    }

    fn attribute(&self, attribute: &'static str, expected: String, found: impl std::fmt::Debug) -> Error {
        Error::Attribute { node: self.name(), attribute, expected, found: format!("{found:?}") }
    }

    fn sizes(&self, expected: String, found: &[i64]) -> Error {
        Error::Sizes { node: self.name(), expected, found: found.to_vec() }
    }

    fn channels(
        &self,
        param: &'static str,
        unit: &'static str,
        expected: usize,
        found: usize,
        input: Shape,
    ) -> Error {
        Error::Channels { node: self.name(), param, unit, expected, found, input }
    }

    fn mismatch(&self, operation: String, left: Shape, right: Shape) -> Error {
        Error::Mismatch { node: self.node.sum_name().to_owned(), operation, left, right }
    }

    fn window_too_large(
        &self,
        kernel: [usize; 2],
        dilation: [usize; 2],
        padding: [usize; 4],
        input: Shape,
    ) -> Error {
        let size =
            |axis: usize| input[axis + 2].saturating_add(padding[axis]).saturating_add(padding[axis + 2]);
        let extent =
            |axis: usize| usize::try_from(extent(kernel[axis], dilation[axis])).unwrap_or(usize::MAX);
        Error::WindowTooLarge {
            node: self.name(),
            kernel,
            extent: [extent(0), extent(1)],
            padded: [size(0), size(1)],
            input,
        }
    }
}
