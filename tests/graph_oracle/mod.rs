//! Runs a graph node by node in f64, using only the definitions of its operations.

use rvision::graph::ops::{self, Conv2d, ConvTranspose2d, Window, conv_geometry, pool_geometry};
use rvision::graph::{Graph, Node, Op, infer_shapes};
use rvision::tensor::{Activation, BinaryOp, EdgeMode, ReduceOp, ResizeMode, Shape};

/// A value in C order.
#[derive(Clone, Debug)]
pub struct Value {
    pub shape: Shape,
    pub data: Vec<f64>,
}

impl Value {
    fn of(shape: Shape, at: impl Fn(&[usize]) -> f64) -> Self {
        let mut data = Vec::with_capacity(shape.numel());
        let mut index = vec![0; shape.rank()];
        for _ in 0..shape.numel() {
            data.push(at(&index));
            for d in (0..shape.rank()).rev() {
                index[d] += 1;
                if index[d] < shape[d] {
                    break;
                }
                index[d] = 0;
            }
        }
        Self { shape, data }
    }

    fn at(&self, index: &[usize]) -> f64 {
        let strides = self.shape.contiguous_strides();
        self.data[index.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>()]
    }

    /// Broadcast: missing leading dimensions are added, and dimensions of size 1 are repeated.
    fn broadcast_at(&self, index: &[usize]) -> f64 {
        let own = &index[index.len() - self.shape.rank()..];
        let own: Vec<_> = own.iter().zip(self.shape.iter()).map(|(&i, &size)| i.min(size - 1)).collect();
        self.at(&own)
    }

    /// Zero outside the picture.
    fn pixel(&self, n: usize, c: usize, y: isize, x: isize) -> Option<f64> {
        let inside = |i: isize, size: usize| usize::try_from(i).ok().filter(|&i| i < size);
        Some(self.at(&[n, c, inside(y, self.shape[2])?, inside(x, self.shape[3])?]))
    }
}

/// The graph's outputs.
pub fn run(graph: &Graph, inputs: &[Value]) -> Vec<Value> {
    let given: Vec<_> = inputs.iter().map(|value| value.shape).collect();
    let shapes = infer_shapes(graph, &given).unwrap();
    let mut values: Vec<Value> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let read: Vec<_> = node.inputs.iter().map(|id| &values[id.0]).collect();
        let value = match graph.inputs.iter().position(|id| id.0 == index) {
            Some(input) => inputs[input].clone(),
            None => run_node(node, &read, shapes[index]),
        };
        values.push(value);
    }
    graph.outputs.iter().map(|id| values[id.0].clone()).collect()
}

fn run_node(node: &Node, read: &[&Value], shape: Shape) -> Value {
    let param = |index: usize, c: usize, absent: f64| {
        node.param(index).map_or(absent, |param| f64::from(param.data()[c]))
    };
    let finish = |sum: &Value, channel_dim: usize| {
        Value::of(shape, |index| {
            let mut y = sum.broadcast_at(index);
            if let Some(affine) = &node.fused.affine {
                let of = |part: &Option<std::sync::Arc<[f32]>>, absent: f64| {
                    part.as_ref().map_or(absent, |values| f64::from(values[index[channel_dim]]))
                };
                y = y * of(&affine.scale, 1.0) + of(&affine.shift, 0.0);
            }
            if node.fused.residual {
                y += read[1].broadcast_at(index);
            }
            activate(node.fused.activation, y)
        })
    };
    if matches!(node.op, Op::Constant(_)) {
        let data = node.param(0).unwrap().data().iter().map(|&v| f64::from(v)).collect();
        return Value { shape, data };
    }
    let x = read[0];
    match &node.op {
        Op::LayerNorm(ops::LayerNorm { shape: normalized, eps }) => {
            let size: usize = normalized.iter().product();
            let rows = x.data.chunks(size).flat_map(|row| {
                let mean = row.iter().sum::<f64>() / size as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / size as f64;
                let normed = move |v: &f64| (v - mean) / (variance + eps).sqrt();
                row.iter().map(normed).enumerate().map(|(c, y)| y * param(0, c, 1.0) + param(1, c, 0.0))
            });
            Value { shape, data: rows.collect() }
        }
        Op::Normalize(ops::Normalize { dim, eps }) => Value::of(shape, |index| {
            let mut other = index.to_vec();
            let squares = (0..shape[*dim]).map(|i| {
                other[*dim] = i;
                x.at(&other).powi(2)
            });
            x.at(index) / squares.sum::<f64>().sqrt().max(f64::from(*eps))
        }),
        Op::Attention(ops::Attention { scale, .. }) => {
            let rank = shape.rank();
            let (keys, depth) = (read[1].shape[rank - 2], x.shape[rank - 1]);
            let scale = scale.map_or(1.0 / (depth as f64).sqrt(), f64::from);
            let mut scores = shape;
            scores[rank - 1] = keys;
            let scores = Value::of(scores, |index| {
                let at = |row: usize, e: usize| [&index[..rank - 2], &[row, e]].concat();
                let products = (0..depth).map(|e| {
                    x.broadcast_at(&at(index[rank - 2], e)) * read[1].broadcast_at(&at(index[rank - 1], e))
                });
                let mask = read.get(3).map_or(0.0, |mask| mask.broadcast_at(index));
                products.sum::<f64>() * scale + mask
            });
            Value::of(shape, |index| {
                let at = |row: usize, column: usize| [&index[..rank - 2], &[row, column]].concat();
                let score = |s: usize| scores.at(&at(index[rank - 2], s));
                let largest = (0..keys).map(score).fold(f64::NEG_INFINITY, f64::max);
                let weight = |s: usize| (score(s) - largest).exp();
                let sum: f64 = (0..keys).map(weight).sum();
                let value = |s: usize| read[2].broadcast_at(&at(s, index[rank - 1]));
                (0..keys).map(|s| weight(s) / sum * value(s)).sum()
            })
        }
        Op::MatMul(_) => Value::of(shape, |index| {
            let rank = shape.rank();
            let at = |row: usize, column: usize| [&index[..rank - 2], &[row, column]].concat();
            let depth = x.shape[x.shape.rank() - 1];
            let product = |k: usize| {
                x.broadcast_at(&at(index[rank - 2], k)) * read[1].broadcast_at(&at(k, index[rank - 1]))
            };
            (0..depth).map(product).sum()
        }),
        Op::Expand(_) | Op::ExpandAs(_) => Value::of(shape, |index| x.broadcast_at(index)),
        Op::Roll(ops::Roll { shifts }) => Value::of(shape, |index| {
            let mut from = index.to_vec();
            for &(dim, shift) in shifts {
                from[dim] = (from[dim] as i64 - shift).rem_euclid(shape[dim] as i64) as usize;
            }
            x.at(&from)
        }),
        Op::Conv2d(conv) => finish(&convolve(node, conv, x), 1),
        Op::ConvTranspose2d(conv) => finish(&convolve_transposed(node, conv, x), 1),
        Op::Linear(_) => {
            let weight = node.param(0).unwrap();
            let [outputs, inputs] = [weight.shape()[0], weight.shape()[1]];
            let mut sums = x.shape;
            let last = sums.rank() - 1;
            sums[last] = outputs;
            let sum = Value::of(sums, |index| {
                let o = index[last];
                let row = index[..last].iter().zip(x.shape.iter()).fold(0, |row, (i, size)| row * size + i);
                let products =
                    (0..inputs).map(|i| f64::from(weight.data()[o * inputs + i]) * x.data[row * inputs + i]);
                products.sum::<f64>() + param(1, o, 0.0)
            });
            finish(&sum, last)
        }
        Op::BatchNorm(ops::BatchNorm { eps }) => Value::of(shape, |index| {
            let c = index[1];
            let normed = (x.at(index) - param(2, c, 0.0)) / (param(3, c, 1.0) + eps).sqrt();
            activate(node.fused.activation, normed * param(0, c, 1.0) + param(1, c, 0.0))
        }),
        Op::Activation(activation) => Value::of(shape, |index| activate(*activation, x.at(index))),
        Op::Binary(ops::Binary { op, .. }) => Value::of(shape, |index| {
            let value = combine(*op, x.broadcast_at(index), read[1].broadcast_at(index));
            activate(node.fused.activation, value)
        }),
        Op::MaxPool2d(ops::MaxPool2d(window)) => max_pool(window, x, shape),
        Op::Mean(ops::Mean { dims, keepdim }) => Value::of(shape, |index| {
            let others = (0..x.shape.rank()).filter(|d| *keepdim || !dims.contains(d));
            let others: Vec<_> = others.zip(index).filter(|(d, _)| !dims.contains(d)).collect();
            let kept = |i: usize| others.iter().all(|&(d, &at)| coordinate(x.shape, i, d) == at);
            let all: Vec<_> = (0..x.data.len()).filter(|&i| kept(i)).map(|i| x.data[i]).collect();
            all.iter().sum::<f64>() / all.len() as f64
        }),
        Op::AdaptiveAvgPool2d(_) => Value::of(shape, |index| {
            let span = |d: usize| {
                let (size, out) = (x.shape[d], shape[d]);
                index[d] * size / out..((index[d] + 1) * size).div_ceil(out)
            };
            let pixels = span(2).flat_map(|row| span(3).map(move |column| (row, column)));
            let all: Vec<_> = pixels.map(|(row, column)| x.at(&[index[0], index[1], row, column])).collect();
            all.iter().sum::<f64>() / all.len() as f64
        }),
        Op::Flatten(_) | Op::Reshape(_) | Op::Unflatten(_) => Value { shape, data: x.data.clone() },
        Op::Permute(ops::Permute { dims }) => Value::of(shape, |index| {
            let mut from = vec![0; dims.len()];
            dims.iter().zip(index).for_each(|(&d, &i)| from[d] = i);
            x.at(&from)
        }),
        Op::Slice(slice) => Value::of(shape, |index| {
            let mut from = index.to_vec();
            let dim = slice.dim;
            from[dim] = slice.bounds(x.shape[dim]).0 + index[dim] * slice.step;
            x.at(&from)
        }),
        Op::Concat(ops::Concat { dim }) => Value::of(shape, |index| {
            let mut from = index.to_vec();
            let mut parts = read.iter();
            let mut part = parts.next().unwrap();
            while from[*dim] >= part.shape[*dim] {
                from[*dim] -= part.shape[*dim];
                part = parts.next().unwrap();
            }
            part.at(&from)
        }),
        Op::Pad(ops::Pad { pads, value }) => Value::of(shape, |index| {
            let from: Option<Vec<_>> = (0..pads.len())
                .map(|d| index[d].checked_sub(pads[d][0]).filter(|&i| i < x.shape[d]))
                .collect();
            from.map_or(f64::from(*value), |from| x.at(&from))
        }),
        Op::PadEdges(ops::PadEdges { pads, mode }) => Value::of(shape, |index| {
            let inside = |d: usize| {
                let (size, mut at) = (x.shape[d] as isize, index[d] as isize - pads[d][0] as isize);
                // Steps from outside into the input, as the mode's words say.
                while at < 0 || at >= size {
                    at = match mode {
                        EdgeMode::Reflect if at < 0 => -at,
                        EdgeMode::Reflect => 2 * (size - 1) - at,
                        EdgeMode::Replicate => at - at.signum(),
                        EdgeMode::Circular => at - at.signum() * size,
                    };
                }
                at as usize
            };
            x.at(&(0..pads.len()).map(inside).collect::<Vec<_>>())
        }),
        Op::Identity(_) => x.clone(),
        Op::GroupNorm(ops::GroupNorm { groups, eps }) => {
            let channels = shape[1];
            let per_group = channels / groups.unwrap_or(channels);
            let positions: usize = shape[2..].iter().product();
            let normed = x.data.chunks(per_group * positions).flat_map(|group| {
                let size = group.len() as f64;
                let mean = group.iter().sum::<f64>() / size;
                let variance = group.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / size;
                group.iter().map(move |v| (v - mean) / (variance + eps).sqrt()).collect::<Vec<_>>()
            });
            let normed = Value { shape, data: normed.collect() };
            Value::of(shape, |index| normed.at(index) * param(0, index[1], 1.0) + param(1, index[1], 0.0))
        }
        &Op::LocalResponseNorm(ops::LocalResponseNorm { size, alpha, beta, k }) => {
            Value::of(shape, |index| {
                let mut other = index.to_vec();
                let first = (index[1] + size / 2 + 1).saturating_sub(size);
                let squares = (first..(index[1] + size / 2 + 1).min(shape[1])).map(|c| {
                    other[1] = c;
                    x.at(&other).powi(2)
                });
                let mean = squares.sum::<f64>() / size as f64;
                x.at(index) / (f64::from(k) + f64::from(alpha) * mean).powf(beta.into())
            })
        }
        Op::PRelu(_) => Value::of(shape, |index| {
            let slopes = node.param(0).unwrap().data();
            let slope = slopes[if slopes.len() == 1 { 0 } else { index[1] }];
            x.at(index) * if x.at(index) > 0.0 { 1.0 } else { slope.into() }
        }),
        &Op::Softmax(ops::Softmax { dim, log }) => Value::of(shape, |index| {
            let mut other = index.to_vec();
            let exponentials = (0..shape[dim]).map(|i| {
                other[dim] = i;
                x.at(&other).exp()
            });
            let share = x.at(index).exp() / exponentials.sum::<f64>();
            if log { share.ln() } else { share }
        }),
        &Op::BinaryScalar(ops::BinaryScalar { op, scalar, reversed }) => Value::of(shape, |index| {
            let (x, scalar) = (x.at(index), scalar.into());
            if reversed { combine(op, scalar, x) } else { combine(op, x, scalar) }
        }),
        Op::Where(_) => Value::of(shape, |index| {
            read[if x.broadcast_at(index) == 0.0 { 2 } else { 1 }].broadcast_at(index)
        }),
        Op::AvgPool2d(pool) => Value::of(shape, |index| {
            let ops::AvgPool2d { window, count_include_pad, divisor_override } = pool;
            let [mut sum, mut inside, mut padded] = [0.0; 3];
            for (y, z) in (0..window.kernel[0]).flat_map(|y| (0..window.kernel[1]).map(move |z| (y, z))) {
                let at = |axis: usize, k: usize| {
                    (index[axis + 2] * window.stride[axis] + k) as isize - window.padding[axis] as isize
                };
                let end = |axis: usize| (x.shape[axis + 2] + window.padding[axis + 2]) as isize;
                let value = x.pixel(index[0], index[1], at(0, y), at(1, z));
                sum += value.unwrap_or(0.0);
                inside += f64::from(u8::from(value.is_some()));
                padded += f64::from(u8::from(at(0, y) < end(0) && at(1, z) < end(1)));
            }
            let counted = if *count_include_pad { padded } else { inside };
            sum / divisor_override.map_or(counted, |divisor| divisor as f64)
        }),
        Op::AdaptiveMaxPool2d(_) => Value::of(shape, |index| {
            let span = |d: usize| {
                let (size, out) = (x.shape[d], shape[d]);
                index[d] * size / out..((index[d] + 1) * size).div_ceil(out)
            };
            let pixels = span(2).flat_map(|row| span(3).map(move |column| (row, column)));
            let at = |(row, column)| x.at(&[index[0], index[1], row, column]);
            pixels.map(at).fold(f64::NEG_INFINITY, f64::max)
        }),
        Op::Reduce(ops::Reduce { op, dims, keepdim }) => Value::of(shape, |index| {
            let others = (0..x.shape.rank()).filter(|d| *keepdim || !dims.contains(d));
            let others: Vec<_> = others.zip(index).filter(|(d, _)| !dims.contains(d)).collect();
            let kept = |i: &usize| others.iter().all(|&(d, &at)| coordinate(x.shape, *i, d) == at);
            let values = (0..x.data.len()).filter(kept).map(|i| x.data[i]);
            match op {
                ReduceOp::Sum => values.sum(),
                ReduceOp::Mean => values.clone().sum::<f64>() / values.count() as f64,
                ReduceOp::Max => values.fold(f64::NEG_INFINITY, f64::max),
                ReduceOp::Min => values.fold(f64::INFINITY, f64::min),
            }
        }),
        Op::Interpolate(resize) => Value::of(shape, |index| {
            let taps = [0, 1].map(|axis| {
                resize_taps(
                    resize.mode,
                    x.shape[axis + 2],
                    shape[axis + 2],
                    resize.factors()[axis],
                    index[axis + 2],
                )
            });
            let value = |(row, down): (usize, f64), (column, across): (usize, f64)| {
                down * across * x.at(&[index[0], index[1], row, column])
            };
            taps[0].iter().map(|&row| taps[1].iter().map(|&column| value(row, column)).sum::<f64>()).sum()
        }),
        Op::Input(_) | Op::Constant(_) => unreachable!("inputs are given and constants are parameters"),
    }
}

/// The `d`-th coordinate of the `i`-th element.
fn coordinate(shape: Shape, i: usize, d: usize) -> usize {
    i / shape.contiguous_strides()[d] % shape[d]
}

fn convolve(node: &Node, conv: &Conv2d, x: &Value) -> Value {
    let weight = node.param(0).unwrap();
    let [outputs, depth, kh, kw] = <[usize; 4]>::try_from(&*weight.shape()).unwrap();
    let (padding, [oh, ow]) = conv_geometry(conv, [kh, kw], [x.shape[2], x.shape[3]]).unwrap();
    Value::of(Shape::new(&[x.shape[0], outputs, oh, ow]), |index| {
        let &[n, o, oy, ox] = index else { unreachable!() };
        let group = o / (outputs / conv.groups);
        let mut sum = node.param(1).map_or(0.0, |bias| f64::from(bias.data()[o]));
        for c in 0..depth {
            for y in 0..kh {
                for z in 0..kw {
                    let iy = (oy * conv.stride[0] + y * conv.dilation[0]) as isize - padding[0] as isize;
                    let ix = (ox * conv.stride[1] + z * conv.dilation[1]) as isize - padding[1] as isize;
                    let w = f64::from(weight.data()[((o * depth + c) * kh + y) * kw + z]);
                    sum += w * x.pixel(n, group * depth + c, iy, ix).unwrap_or(0.0);
                }
            }
        }
        sum
    })
}

/// Every input pixel adds its value times the kernel.
fn convolve_transposed(node: &Node, conv: &ConvTranspose2d, x: &Value) -> Value {
    let weight = node.param(0).unwrap();
    let [inputs, depth, kh, kw] = <[usize; 4]>::try_from(&*weight.shape()).unwrap();
    let size = |i: usize, kernel: usize| {
        let whole = (x.shape[2 + i] - 1) * conv.stride[i] + conv.dilation[i] * (kernel - 1) + 1;
        whole + conv.output_padding[i] - 2 * conv.padding[i]
    };
    let shape = Shape::new(&[x.shape[0], depth * conv.groups, size(0, kh), size(1, kw)]);
    let bias = |o: usize| node.param(1).map_or(0.0, |bias| f64::from(bias.data()[o]));
    let mut sums = Value::of(shape, |index| bias(index[1]));
    let strides = shape.contiguous_strides();
    let weights = weight.data();
    let place = |i: usize, at: usize, tap: usize| {
        let place = (at * conv.stride[i] + tap * conv.dilation[i]).checked_sub(conv.padding[i])?;
        (place < shape[2 + i]).then_some(place)
    };
    for at in 0..x.data.len() {
        let [n, c, y, z] = [0, 1, 2, 3].map(|d| coordinate(x.shape, at, d));
        let group = c / (inputs / conv.groups);
        for o in 0..depth {
            for (ty, tz) in (0..kh).flat_map(|ty| (0..kw).map(move |tz| (ty, tz))) {
                let (Some(oy), Some(oz)) = (place(0, y, ty), place(1, z, tz)) else { continue };
                let to = [n, group * depth + o, oy, oz];
                let to: usize = to.iter().zip(strides).map(|(i, stride)| i * stride).sum();
                let w = f64::from(weights[((c * depth + o) * kh + ty) * kw + tz]);
                sums.data[to] += w * x.data[at];
            }
        }
    }
    sums
}

fn max_pool(window: &Window, x: &Value, shape: Shape) -> Value {
    assert_eq!(pool_geometry(window, [x.shape[2], x.shape[3]]), Some([shape[2], shape[3]]));
    Value::of(shape, |index| {
        let &[n, c, oy, ox] = index else { unreachable!() };
        let mut largest = f64::NEG_INFINITY;
        for y in 0..window.kernel[0] {
            for z in 0..window.kernel[1] {
                let iy =
                    (oy * window.stride[0] + y * window.dilation[0]) as isize - window.padding[0] as isize;
                let ix =
                    (ox * window.stride[1] + z * window.dilation[1]) as isize - window.padding[1] as isize;
                largest = largest.max(x.pixel(n, c, iy, ix).unwrap_or(f64::NEG_INFINITY));
            }
        }
        largest
    })
}

/// The pixels along one axis that the output pixel `o` is made of, and their weights.
fn resize_taps(
    mode: ResizeMode,
    input: usize,
    output: usize,
    factor: Option<f64>,
    o: usize,
) -> Vec<(usize, f64)> {
    let (input_size, o) = (input as f64, o as f64);
    let ratio = factor.map_or(input_size / output as f64, |factor| 1.0 / factor);
    let clamped = |i: f64| i.clamp(0.0, input_size - 1.0) as usize;
    let (align_corners, antialias, cubic) = match mode {
        ResizeMode::Nearest => return vec![(clamped((o * ratio).floor()), 1.0)],
        ResizeMode::NearestExact => return vec![(clamped(((o + 0.5) * ratio).floor()), 1.0)],
        ResizeMode::Linear { align_corners, antialias } => (align_corners, antialias, false),
        ResizeMode::Cubic { align_corners, antialias } => (align_corners, antialias, true),
    };
    let triangle = |t: f64| (1.0 - t.abs()).max(0.0);
    let keys = |a: f64, t: f64| match t.abs() {
        t if t <= 1.0 => ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0,
        t if t < 2.0 => (((t - 5.0) * t + 8.0) * t - 4.0) * a,
        _ => 0.0,
    };
    if antialias {
        let (reach, stretch) = (if cubic { 2.0 } else { 1.0 }, ratio.max(1.0));
        let middle = ratio * (o + 0.5);
        let first = (middle - reach * stretch + 0.5).max(0.0) as usize;
        let end = ((middle + reach * stretch + 0.5) as usize).min(input);
        let weight = |i: usize| {
            let t = (i as f64 - middle + 0.5) / stretch;
            if cubic { keys(-0.5, t) } else { triangle(t) }
        };
        let sum: f64 = (first..end).map(weight).sum();
        return (first..end).map(|i| (i, weight(i) / sum)).collect();
    }
    let position = match align_corners {
        true if output > 1 => o * (input_size - 1.0) / (output as f64 - 1.0),
        true => 0.0,
        false if cubic => (o + 0.5) * ratio - 0.5,
        false => ((o + 0.5) * ratio - 0.5).max(0.0),
    };
    let first = position.floor();
    let part = position - first;
    let taps: &[f64] = if cubic { &[-1.0, 0.0, 1.0, 2.0] } else { &[0.0, 1.0] };
    let weight = |tap: f64| if cubic { keys(-0.75, tap - part) } else { triangle(tap - part) };
    taps.iter().map(|&tap| (clamped(first + tap), weight(tap))).collect()
}

fn combine(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Maximum => a.max(b),
        BinaryOp::Minimum => a.min(b),
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Greater => f64::from(u8::from(a > b)),
        BinaryOp::GreaterEqual => f64::from(u8::from(a >= b)),
        BinaryOp::Less => f64::from(u8::from(a < b)),
        BinaryOp::LessEqual => f64::from(u8::from(a <= b)),
        BinaryOp::Equal => f64::from(u8::from(a == b)),
        BinaryOp::NotEqual => f64::from(u8::from(a != b)),
    }
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Clamp { lo, hi } => x.clamp(lo.into(), hi.into()),
        Activation::LeakyRelu { slope } => x * if x > 0.0 { 1.0 } else { f64::from(slope) },
        Activation::Hardsigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Hardswish => x * activate(Activation::Hardsigmoid, x),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Silu => x * activate(Activation::Sigmoid, x),
        Activation::Tanh => x.tanh(),
        Activation::Gelu => {
            // Phi by Simpson's rule from 0, which is exact enough in f64 where |x| is small.
            let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let step = x / 2000.0;
            let at = |i: usize| density(step * i as f64) * [2.0, 4.0][i % 2];
            let inner: f64 = (1..2000).map(at).sum();
            x * (0.5 + step / 3.0 * (density(0.0) + inner + density(x)))
        }
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Activation::Selu => {
            let (alpha, scale) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
            scale * if x > 0.0 { x } else { alpha * x.exp_m1() }
        }
        Activation::Celu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * (x / f64::from(alpha)).exp_m1()
            }
        }
        Activation::Mish => x * x.exp().ln_1p().tanh(),
        Activation::Softplus { beta, threshold } => {
            let scaled = x * f64::from(beta);
            if scaled > threshold.into() { x } else { scaled.exp().ln_1p() / f64::from(beta) }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Exp => x.exp(),
        Activation::Log => x.ln(),
        Activation::Sqrt => x.sqrt(),
        Activation::Abs => x.abs(),
    }
}
