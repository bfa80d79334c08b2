//! The rewriting of a classifier, node by node: kept, turned into a sliding window, or refused.

use super::fold::{averaged_kernel, averaged_sizes};
use super::rewriter::{PICTURE, Rewriter};
use super::slide::Slide;
use super::value::{Computed, Grid, Value, reshaped};
use crate::error::Result;
use crate::graph::ops::dense_form::DenseForm;
use crate::graph::ops::{self, Conv2d, ConvPadding, Slice};
use crate::graph::{Graph, Node, Op};

impl Rewriter<'_> {
    /// The dense graph, and the grid of its output's cells.
    pub fn run(mut self) -> Result<(Graph, Grid)> {
        for node in &self.old.nodes {
            let computed = self.node(node)?;
            self.values.push(computed);
        }
        let output = &self.old.nodes[self.old.outputs[0].0];
        let last = self.values[self.old.outputs[0].0].clone();
        let grid = match last.value {
            Value::Vector(grid) => grid,
            Value::Map { axes: PICTURE, grid } if grid.is_point() => grid,
            Value::Constant | Value::Global => {
                return Err(Self::refuse(output, "an output that does not depend on the window's place", ""));
            }
            _ => {
                let found = self.shapes[self.old.outputs[0].0];
                let what = format!("an output {found}, which is no vector of classes, in a dense form");
                return Err(Self::refuse(
                    output,
                    &what,
                    "; give the whole classifier, or another input_size",
                ));
            }
        };
        // If no operation used the whole map, there was no window whose stride could be larger.
        let target = self.stride.unwrap_or(grid.kept);
        let mut id = last.id;
        for axis in 0..2 {
            let step = target[axis] / grid.kept[axis];
            if step > 1 {
                let op = Op::Slice(Slice { dim: PICTURE[axis], start: None, stop: None, step, index: false });
                id = self.push(Node::new(self.free_name(&output.name), op, vec![id], vec![]));
            }
        }
        self.new.outputs.push(id);
        Ok((self.new, grid))
    }

    fn node(&mut self, node: &Node) -> Result<Computed> {
        if matches!(node.op, Op::Input(_)) {
            let id = self.push(node.clone());
            self.new.inputs.push(id);
            let shape = self.size();
            return Ok(Computed { id, value: Value::Map { axes: PICTURE, grid: Grid::pixels(shape) } });
        }
        let inputs: Vec<Computed> = node.inputs.iter().map(|id| self.values[id.0].clone()).collect();
        let reads: Vec<&Computed> = inputs.iter().collect();
        if self.squeezed.nodes.contains(&self.at()) || reads.iter().all(|x| x.value.is_shared()) {
            let constant = reads.iter().all(|x| matches!(x.value, Value::Constant));
            let id = self.append(node.clone(), &reads);
            let pool = self.squeezed.nodes.contains(&self.at());
            return Ok(Computed {
                id,
                value: if constant && !pool { Value::Constant } else { Value::Global },
            });
        }
        let form = node.op.rules().dense();
        match form {
            DenseForm::Refused { what, advice } => return Err(Self::refuse(node, what, advice)),
            DenseForm::Joined => return self.binary(node, &reads),
            DenseForm::Concat(dim) => return self.concat(node, dim, &reads),
            _ => {}
        }
        let [x] = reads[..] else { return Err(Self::mixed(node)) };
        self.unary(node, form, x)
    }

    fn unary(&mut self, node: &Node, form: DenseForm, x: &Computed) -> Result<Computed> {
        match form {
            DenseForm::Pointwise if matches!(x.value, Value::Uneven { .. }) => Err(Self::refuse(
                node,
                "a pool to areas of different sizes, which no window that slides has, before anything but \
                 a linear layer",
                "; choose an input_size whose map is a multiple of the pool's",
            )),
            DenseForm::Identity | DenseForm::Pointwise => Ok(self.keep(node, x)),
            DenseForm::Convolution => self.conv2d(node, x),
            DenseForm::Pool(window) => self.pool(node, window, x),
            DenseForm::AdaptivePool { output, maximum } => self.adaptive(node, output, x, maximum),
            DenseForm::Pictures => {
                Self::pictures(node, x)?;
                Ok(self.keep(node, x))
            }
            DenseForm::Linear => self.linear(node, x),
            DenseForm::Along(dim) => self.along(node, dim, x),
            DenseForm::AlongLast(dims) => self.layer_norm(node, dims, x),
            DenseForm::Mean { dims, keepdim } => self.mean(node, dims, keepdim, x),
            DenseForm::Flatten { start, end } => self.flatten(node, start, end, x),
            DenseForm::Unflatten { dim, count } => self.unflatten(node, dim, count, x),
            DenseForm::Reshape => self.reshape(node, x),
            DenseForm::Permute(dims) => self.permute(node, dims, x),
            DenseForm::Slice => self.slice(node, x),
            DenseForm::Pad { pads, value } => self.pad(node, pads, value, x),
            DenseForm::Mixes | DenseForm::Joined | DenseForm::Concat(_) | DenseForm::Refused { .. } => {
                Err(Self::mixed(node))
            }
        }
    }

    // --- kept unchanged ------------------------------------------------------------

    /// An elementwise operation.
    fn keep(&mut self, node: &Node, x: &Computed) -> Computed {
        let id = self.append(node.clone(), &[x]);
        Computed { id, value: x.value.clone() }
    }

    /// An operation along a dimension other than rows and columns.
    fn along(&mut self, node: &Node, dim: usize, x: &Computed) -> Result<Computed> {
        match &x.value {
            Value::Map { axes, .. } if !axes.contains(&dim) => Ok(self.keep(node, x)),
            Value::Vector(_) => Ok(self.keep(node, x)),
            _ => Err(Self::mixed(node)),
        }
    }

    fn layer_norm(&mut self, node: &Node, trailing: usize, x: &Computed) -> Result<Computed> {
        match &x.value {
            Value::Map { axes, .. } => {
                let first = self.rank() - trailing;
                if axes.iter().any(|&axis| axis >= first) {
                    Err(Self::mixed(node))
                } else {
                    Ok(self.keep(node, x))
                }
            }
            Value::Vector(_) if trailing == 1 => {
                // The features are not the last dimension in the dense graph.
                let last = self.moved(node, x, [0, 2, 3, 1]);
                let id = self.append(node.clone(), &[&last]);
                let normed = Computed { id, value: x.value.clone() };
                Ok(self.moved(node, &normed, [0, 3, 1, 2]))
            }
            _ => Err(Self::mixed(node)),
        }
    }

    fn moved(&mut self, node: &Node, x: &Computed, dims: [usize; 4]) -> Computed {
        let name = self.free_name(&format!("{}.permute", node.name));
        let id =
            self.push(Node::new(name, Op::Permute(ops::Permute { dims: dims.to_vec() }), vec![x.id], vec![]));
        Computed { id, value: x.value.clone() }
    }

    // --- several inputs -----------------------------------------------------------------

    fn binary(&mut self, node: &Node, reads: &[&Computed]) -> Result<Computed> {
        let (left, right) = (reads[0], reads[1]);
        match (&left.value, &right.value) {
            (_, Value::Constant) => self.with_constant(node, left, right, 1),
            (Value::Constant, _) => self.with_constant(node, right, left, 0),
            (Value::Map { axes: PICTURE, .. }, Value::Global) => {
                let id = self.append(node.clone(), reads);
                Ok(Computed { id, value: left.value.clone() })
            }
            (Value::Global, Value::Map { axes: PICTURE, .. }) => {
                let id = self.append(node.clone(), reads);
                Ok(Computed { id, value: right.value.clone() })
            }
            _ => {
                let value = Self::joined(node, &left.value, &right.value)?;
                let id = self.append(node.clone(), reads);
                Ok(Computed { id, value })
            }
        }
    }

    /// A parameter combined with a value of the picture: the same number for all positions.
    fn with_constant(
        &mut self,
        node: &Node,
        x: &Computed,
        constant: &Computed,
        place: usize,
    ) -> Result<Computed> {
        let old = node.inputs[place];
        let shape = self.shapes[old.0];
        let rank = self.rank();
        // The constant's size along a dimension of the result.
        let size = |dim: usize| (dim + shape.rank()).checked_sub(rank).map_or(1, |dim| shape[dim]);
        let (mut x, mut constant) = (x.clone(), constant.clone());
        match &x.value {
            Value::Map { axes, .. } if axes.iter().all(|&axis| size(axis) == 1) && shape.rank() <= rank => {}
            Value::Vector(_) if shape.rank() <= rank => {
                let (Op::Constant(_), Some(param)) =
                    (&self.old.nodes[old.0].op, self.old.nodes[old.0].param(0))
                else {
                    return Err(Self::mixed(node));
                };
                let dims = [&shape[..], &[1, 1]].concat();
                let name = self.free_name(&self.old.nodes[old.0].name);
                constant.id = self.push(Node::new(
                    name,
                    Op::Constant(ops::Constant),
                    vec![],
                    vec![reshaped(Some(param), &dims)],
                ));
            }
            Value::Flat(_) if shape.numel() == 1 && shape.rank() <= rank => {}
            _ => {
                let what = "a parameter with a value for each position, in maps that windows share";
                return Err(Self::refuse(node, what, ""));
            }
        }
        let value = x.value.clone();
        if place == 0 {
            std::mem::swap(&mut x, &mut constant);
        }
        let id = self.append(node.clone(), &[&x, &constant]);
        Ok(Computed { id, value })
    }

    fn concat(&mut self, node: &Node, dim: usize, reads: &[&Computed]) -> Result<Computed> {
        let mut value = reads[0].value.clone();
        for other in &reads[1..] {
            value = Self::joined(node, &value, &other.value)?;
        }
        let along_picture = match &value {
            Value::Map { axes, .. } => axes.contains(&dim),
            Value::Vector(_) => dim != 1,
            _ => true,
        };
        if along_picture {
            return Err(Self::mixed(node));
        }
        let id = self.append(node.clone(), reads);
        Ok(Computed { id, value })
    }

    /// The kind of the result of combining two values position by position.
    fn joined(node: &Node, left: &Value, right: &Value) -> Result<Value> {
        let join = |a: &Grid, b: &Grid| {
            let same = (a.size, a.jump, a.kept, a.native) == (b.size, b.jump, b.kept, b.native);
            let reach = [0, 1].map(|axis| a.reach[axis].union(b.reach[axis]));
            same.then_some(Grid { reach, ..*a })
        };
        let joined = match (left, right) {
            (Value::Map { axes, grid: a }, Value::Map { axes: others, grid: b }) if axes == others => {
                join(a, b).map(|grid| Value::Map { axes: *axes, grid })
            }
            (Value::Vector(a), Value::Vector(b)) => join(a, b).map(Value::Vector),
            (Value::Flat(a), Value::Flat(b)) => join(a, b).map(Value::Flat),
            _ => None,
        };
        joined.ok_or_else(|| {
            Self::refuse(node, "maps of different sizes or strides together in a dense form", "")
        })
    }

    // --- the window ends here -----------------------------------------------------------

    fn linear(&mut self, node: &Node, x: &Computed) -> Result<Computed> {
        let weight = node.param(0).expect("a linear layer's weight").clone();
        let [outputs, features] = [weight.shape()[0], weight.shape()[1]];
        let (grid, kernel, weight) = match &x.value {
            Value::Map { axes, .. } if !axes.contains(&(self.rank() - 1)) => return Ok(self.keep(node, x)),
            Value::Vector(grid) => (*grid, [1, 1], weight),
            Value::Flat(grid) => (*grid, grid.size, weight),
            Value::Uneven { grid, areas, flat: true } => {
                // If only the strides are requested, sizes are enough.
                let kernel = match self.stride {
                    Some(_) => averaged_kernel(&weight, *areas, grid.size)?,
                    None => averaged_sizes(&weight, *areas, grid.size)?,
                };
                (*grid, grid.size, kernel)
            }
            _ => return Err(Self::mixed(node)),
        };
        let channels = if kernel == [1, 1] {
            features
        } else {
            weight.shape().numel() / outputs / (kernel[0] * kernel[1])
        };
        let dims = [outputs, channels, kernel[0], kernel[1]];
        let dilation = Self::dilation_for(node, &grid, kernel)?;
        let (grid, stride) = self.slide(&grid, kernel.map(Slide::whole));
        let op = Op::Conv2d(Conv2d { stride, padding: ConvPadding::Explicit([0; 4]), dilation, groups: 1 });
        let params = vec![reshaped(Some(&weight), &dims), node.params[1].clone()];
        let id = self.append(Node { op, params, ..node.clone() }, &[x]);
        Ok(Computed { id, value: Value::Vector(grid) })
    }

    fn mean(&mut self, node: &Node, dims: &[usize], keepdim: bool, x: &Computed) -> Result<Computed> {
        match &x.value {
            Value::Map { axes: PICTURE, .. } if dims == PICTURE => {
                let point = self.whole(node, x, false)?;
                let Value::Map { grid, .. } = point.value else { unreachable!("a pool of a map") };
                Ok(if keepdim { point } else { Computed { value: Value::Vector(grid), ..point } })
            }
            Value::Map { axes, grid } if !axes.iter().any(|axis| dims.contains(axis)) => {
                let shift = |axis: usize| {
                    axis - if keepdim { 0 } else { dims.iter().filter(|&&dim| dim < axis).count() }
                };
                let value = Value::Map { axes: axes.map(shift), grid: *grid };
                let id = self.append(node.clone(), &[x]);
                Ok(Computed { id, value })
            }
            _ => Err(Self::mixed(node)),
        }
    }

    fn flatten(&mut self, node: &Node, start: usize, end: usize, x: &Computed) -> Result<Computed> {
        match &x.value {
            &Value::Map { axes, grid } if axes.iter().all(|axis| !(start..=end).contains(axis)) => {
                let shift = |axis: usize| if axis > end { axis - (end - start) } else { axis };
                let id = self.append(node.clone(), &[x]);
                Ok(Computed { id, value: Value::Map { axes: axes.map(shift), grid } })
            }
            Value::Map { axes: PICTURE, .. } | Value::Uneven { .. } if (start, end) == (1, 3) => {
                self.flat(node, x)
            }
            Value::Vector(_) | Value::Flat(_) if start == end => Ok(self.same(node, x, x.value.clone())),
            _ => Err(Self::mixed(node)),
        }
    }

    /// Flattening of (N, C, H, W) to (N, C H W).
    fn flat(&mut self, node: &Node, x: &Computed) -> Result<Computed> {
        let value = match x.value {
            Value::Map { axes: PICTURE, grid } if grid.is_point() => Value::Vector(grid),
            Value::Map { axes: PICTURE, grid } => Value::Flat(grid),
            Value::Uneven { grid, areas, flat: false } => Value::Uneven { grid, areas, flat: true },
            _ => return Err(Self::mixed(node)),
        };
        Ok(self.same(node, x, value))
    }

    // --- the order of dimensions --------------------------------------------------------

    fn unflatten(&mut self, node: &Node, dim: usize, count: usize, x: &Computed) -> Result<Computed> {
        match &x.value {
            &Value::Map { axes, grid } if !axes.contains(&dim) => {
                let shift = |axis: usize| if axis > dim { axis + count - 1 } else { axis };
                let id = self.append(node.clone(), &[x]);
                Ok(Computed { id, value: Value::Map { axes: axes.map(shift), grid } })
            }
            _ => Err(Self::mixed(node)),
        }
    }

    /// A reshape that, for the window's sizes, is a flattening or only changes the channels.
    fn reshape(&mut self, node: &Node, x: &Computed) -> Result<Computed> {
        let from = self.shapes[node.inputs[0].0];
        let to = self.shapes[self.at().0];
        if from == to {
            return Ok(self.same(node, x, x.value.clone()));
        }
        match &x.value {
            Value::Map { axes: PICTURE, .. } | Value::Uneven { .. }
                if to[..] == [from[0], from[1..].iter().product()] =>
            {
                self.flat(node, x)
            }
            &Value::Map { axes: [row, column], grid } => {
                let (inner, outer) = (from.rank() - 2, to.rank().saturating_sub(2));
                let channels_only = [row, column] == [inner, inner + 1]
                    && outer >= 1
                    && to[outer..] == from[inner..]
                    && to[0] == from[0];
                if !channels_only {
                    return Err(Self::mixed(node));
                }
                // Merge all channel dimensions into one, and split it again.
                let mut id = x.id;
                if inner > 2 {
                    let name = self.free_name(&format!("{}.flatten", node.name));
                    id = self.push(Node::new(
                        name,
                        Op::Flatten(ops::Flatten { start: 1, end: inner - 1 }),
                        vec![id],
                        vec![],
                    ));
                }
                let sizes = to[1..outer].iter().map(|&size| size as i64).collect();
                let op = if outer == 2 {
                    Op::Identity(ops::Identity)
                } else {
                    Op::Unflatten(ops::Unflatten { dim: 1, sizes })
                };
                let id = self.push(Node { op, inputs: vec![id], ..node.clone() });
                Ok(Computed { id, value: Value::Map { axes: [outer, outer + 1], grid } })
            }
            _ => Err(Self::mixed(node)),
        }
    }

    fn permute(&mut self, node: &Node, dims: &[usize], x: &Computed) -> Result<Computed> {
        match &x.value {
            &Value::Map { axes, grid } => {
                let now = |axis: usize| dims.iter().position(|&dim| dim == axis).expect("a permutation");
                let id = self.append(node.clone(), &[x]);
                Ok(Computed { id, value: Value::Map { axes: axes.map(now), grid } })
            }
            _ => Err(Self::mixed(node)),
        }
    }

    fn slice(&mut self, node: &Node, x: &Computed) -> Result<Computed> {
        let Op::Slice(slice) = &node.op else { unreachable!("a slice has the form of one") };
        let Slice { dim, step, .. } = *slice;
        let (axes, grid) = match &x.value {
            Value::Vector(_) if dim == 1 => return Ok(self.keep(node, x)),
            &Value::Map { axes, grid } => (axes, grid),
            _ => return Err(Self::mixed(node)),
        };
        let Some(axis) = axes.iter().position(|&axis| axis == dim) else { return Ok(self.keep(node, x)) };
        let (start, end) = slice.bounds(grid.size[axis]);
        // The part removed at the end is counted from the map's end, which depends on the picture.
        let behind = grid.size[axis] - end;
        let output = (end - start).div_ceil(step);
        if output == 0 {
            return Err(Self::mixed(node));
        }
        let mut windows = grid.size.map(|size| Slide { output: size, ..Slide::whole(1) });
        windows[axis] = Slide { stride: step, output, ..Slide::whole(1) };
        let dilation = if start + behind > 0 { Self::dilation(node, &grid)?[axis] } else { 1 };
        let (mut out, stride) = self.slide(&grid, windows);
        out.reach[axis].start += (start * grid.jump[axis]) as i64;
        let (start, behind) = ((start * dilation) as i64, (behind * dilation) as i64);
        let op = Op::Slice(Slice {
            dim,
            start: (start > 0).then_some(start),
            stop: (behind > 0).then_some(-behind),
            step: stride[axis],
            index: false,
        });
        let id = self.append(Node { op, ..node.clone() }, &[x]);
        Ok(Computed { id, value: Value::Map { axes, grid: out } })
    }

    fn pad(&mut self, node: &Node, pads: &[[usize; 2]], value: f32, x: &Computed) -> Result<Computed> {
        let &Value::Map { axes, mut grid } = &x.value else { return Err(Self::mixed(node)) };
        let mut pads = pads.to_vec();
        for (axis, &dim) in axes.iter().enumerate() {
            let [before, after] = pads[dim];
            if before + after > 0 {
                let dilation = Self::dilation(node, &grid)?[axis];
                pads[dim] = [before * dilation, after * dilation];
                grid.reach[axis].start -= (before * grid.jump[axis]) as i64;
                grid.size[axis] += before + after;
            }
        }
        let id = self.append(Node { op: Op::Pad(ops::Pad { pads, value }), ..node.clone() }, &[x]);
        Ok(Computed { id, value: Value::Map { axes, grid } })
    }
}
