//! Operations that slide a window over a map: convolutions, pools, means over the whole map.

use super::rewriter::Rewriter;
use super::value::{Computed, Grid, Reach, Value};
use crate::error::Result;
use crate::graph::ops::{self, Conv2d, ConvPadding, Window, conv_geometry};
use crate::graph::{Node, Op};

/// A window along one axis, in the classifier.
#[derive(Clone, Copy)]
pub struct Slide {
    /// Number of positions that it covers.
    pub kernel: usize,
    /// Distance between these.
    pub dilation: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Padding positions before the map.
    pub before: usize,
    /// Number of windows in the classifier.
    pub output: usize,
    /// Whether the stride is the network's own, not derived from the window's size.
    pub own: bool,
}

impl Slide {
    /// A window over a whole map of this size.
    pub fn whole(size: usize) -> Self {
        Self { kernel: size, dilation: 1, stride: 1, before: 0, output: 1, own: true }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Rewriter<'_> {
    /// The grid of a window's results, and the dense window's stride.
    pub fn slide(&self, grid: &Grid, windows: [Slide; 2]) -> (Grid, [usize; 2]) {
        let mut out = *grid;
        let mut strides = [1; 2];
        for (axis, window) in windows.into_iter().enumerate() {
            let jump = grid.jump[axis];
            let start = grid.reach[axis].start - (window.before * jump) as i64;
            let size = grid.reach[axis].size + (window.kernel - 1) * window.dilation * jump;
            out.reach[axis] = Reach { start, size };
            out.size[axis] = window.output;
            let target = self.stride.map_or(1, |stride| stride[axis]);
            let kept = if window.output == 1 {
                // It never moves within the classifier's window, so its stride has no meaning. From
                // here there is one position per window, and windows need not be closer than
                // requested.
                if target.is_multiple_of(grid.kept[axis]) { target } else { grid.kept[axis] }
            } else {
                out.jump[axis] = jump * window.stride;
                if window.own {
                    out.native[axis] *= window.stride;
                }
                gcd(target, out.jump[axis])
            };
            strides[axis] = kept / grid.kept[axis];
            out.kept[axis] = kept;
        }
        (out, strides)
    }

    /// A convolution of a map (N, C, H, W).
    pub fn conv2d(&mut self, node: &Node, x: &Computed) -> Result<Computed> {
        let Op::Conv2d(conv) = &node.op else { unreachable!("a convolution has the form of one") };
        let grid = Self::pictures(node, x)?;
        let weight = node.param(0).expect("a convolution's weight").shape();
        let kernel = [weight[2], weight[3]];
        let dilation = Self::dilation_for(node, &grid, kernel)?;
        // TensorFlow's padding depends on the picture's size; here it stays that of the window.
        let (padding, output) = conv_geometry(conv, kernel, grid.size).expect("shapes are inferred");
        let windows = [0, 1].map(|axis| Slide {
            kernel: kernel[axis],
            dilation: conv.dilation[axis],
            stride: conv.stride[axis],
            before: padding[axis],
            output: output[axis],
            own: true,
        });
        let (grid, stride) = self.slide(&grid, windows);
        let op = Op::Conv2d(Conv2d {
            stride,
            padding: ConvPadding::Explicit([0, 1, 2, 3].map(|side| padding[side] * dilation[side % 2])),
            dilation: [conv.dilation[0] * dilation[0], conv.dilation[1] * dilation[1]],
            groups: conv.groups,
        });
        Ok(self.map(Node { op, ..node.clone() }, &[x], grid))
    }

    /// A max or average pool of a map (N, C, H, W).
    pub fn pool(&mut self, node: &Node, window: &Window, x: &Computed) -> Result<Computed> {
        let grid = Self::pictures(node, x)?;
        let dilation = Self::dilation_for(node, &grid, window.kernel)?;
        let output = self.size();
        let windows = [0, 1].map(|axis| Slide {
            kernel: window.kernel[axis],
            dilation: window.dilation[axis],
            stride: window.stride[axis],
            before: window.padding[axis],
            output: output[axis],
            own: true,
        });
        let (out, stride) = self.slide(&grid, windows);
        let mut dense = Window {
            kernel: window.kernel,
            stride,
            padding: [0, 1, 2, 3].map(|side| window.padding[side] * dilation[side % 2]),
            dilation: [0, 1].map(|axis| window.dilation[axis] * dilation[axis]),
            ceil_mode: window.ceil_mode,
        };
        if window.ceil_mode && (stride != window.stride || dilation != [1, 1]) {
            // Each of the interleaved maps has its own edge, beyond which a last window may extend
            // by less than a stride, if it begins inside.
            dense.ceil_mode = false;
            for (axis, dilation) in dilation.into_iter().enumerate() {
                let inside =
                    ((window.kernel[axis] - 1) * window.dilation[axis]).saturating_sub(window.padding[axis]);
                let overhang = (window.stride[axis] - 1).min(inside);
                dense.padding[axis + 2] += overhang * dilation;
            }
        }
        let op = match &node.op {
            Op::AvgPool2d(average) => {
                let padded = window.padding != [0; 4];
                let count_include_pad = average.count_include_pad && padded;
                Op::AvgPool2d(ops::AvgPool2d { window: dense, count_include_pad, ..*average })
            }
            _ => Op::MaxPool2d(ops::MaxPool2d(dense)),
        };
        Ok(self.map(Node { op, ..node.clone() }, &[x], out))
    }

    /// An average (or maximum) over the whole map, which becomes a window of that size.
    pub fn whole(&mut self, node: &Node, x: &Computed, maximum: bool) -> Result<Computed> {
        let grid = Self::pictures(node, x)?;
        let (out, stride) = self.slide(&grid, grid.size.map(Slide::whole));
        if grid.is_point() && stride == [1, 1] {
            return Ok(self.map(Node { op: Op::Identity(ops::Identity), ..node.clone() }, &[x], out));
        }
        let dilation = Self::dilation_for(node, &grid, grid.size)?;
        let window = Window { kernel: grid.size, stride, padding: [0; 4], dilation, ceil_mode: false };
        Ok(self.map(Node { op: pool(window, maximum), ..node.clone() }, &[x], out))
    }

    /// A pool to a given size of a map (N, C, H, W).
    pub fn adaptive(
        &mut self,
        node: &Node,
        output: [Option<usize>; 2],
        x: &Computed,
        maximum: bool,
    ) -> Result<Computed> {
        let grid = Self::pictures(node, x)?;
        let areas = [0, 1].map(|axis| output[axis].unwrap_or(grid.size[axis]));
        if areas == grid.size {
            return Ok(self.map(Node { op: Op::Identity(ops::Identity), ..node.clone() }, &[x], grid));
        }
        if areas == [1, 1] {
            return self.whole(node, x, maximum);
        }
        if (0..2).all(|axis| grid.size[axis].is_multiple_of(areas[axis])) {
            let sides = [0, 1].map(|axis| grid.size[axis] / areas[axis]);
            let dilation = Self::dilation(node, &grid)?;
            let windows = [0, 1].map(|axis| Slide {
                kernel: sides[axis],
                dilation: 1,
                stride: sides[axis],
                before: 0,
                output: areas[axis],
                own: false,
            });
            let (out, stride) = self.slide(&grid, windows);
            let window = Window { kernel: sides, stride, padding: [0; 4], dilation, ceil_mode: false };
            return Ok(self.map(Node { op: pool(window, maximum), ..node.clone() }, &[x], out));
        }
        let sizes = format!("{}x{} to {}x{}", grid.size[0], grid.size[1], areas[0], areas[1]);
        if maximum {
            return Err(Self::refuse(
                node,
                &format!(
                    "an adaptive maximum from {sizes}, whose areas differ in size, in windows that slide"
                ),
                "; choose an input_size whose map is a multiple",
            ));
        }
        // Only a linear layer can take it from here.
        let id = self.append(Node { op: Op::Identity(ops::Identity), ..node.clone() }, &[x]);
        Ok(Computed { id, value: Value::Uneven { grid, areas, flat: false } })
    }
}

fn pool(window: Window, maximum: bool) -> Op {
    if maximum {
        Op::MaxPool2d(ops::MaxPool2d(window))
    } else {
        Op::AvgPool2d(ops::AvgPool2d { window, count_include_pad: false, divisor_override: None })
    }
}
