//! Lowering of transposed convolutions to plain convolutions of stride 1, with the kernels of
//! those.
//!
//! An output row sees the kernel rows whose distance from it is a multiple of the stride. Rows that
//! are a stride apart see the same kernel rows, and the same holds for columns. So the output is
//! cut into `stride x stride` phases. Each phase is a plain convolution with its part of the
//! kernel, and writes rows and pixels that are a stride apart. No product with an inserted zero is
//! computed, and nothing is added to the output of another step.

use crate::error::Result;
use crate::graph::NodeId;
use crate::graph::ops::ConvTranspose2d;
use crate::kernels::Epilogue;
use crate::kernels::conv::{self, ConvDesc, Padding};
use crate::plan::geometry::resized;
use crate::plan::lower::conv::Operands;
use crate::plan::values::{Compiler, Place};
use crate::tensor::{Activation, ElementType, FeatureMap, Part, Shape, Values, View, reserved};

/// Output rows (or columns) that see the same kernel rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phase {
    /// The first output row, and how many there are, a stride apart.
    first: usize,
    count: usize,
    /// The first of the kernel's rows, how many there are, and their distance in the kernel.
    tap: usize,
    taps: usize,
    tap_step: usize,
    /// Distance of the input rows that neighbouring taps see.
    dilation: usize,
    /// Input rows that the phase sees.
    start: usize,
    len: usize,
    /// Rows of zeros before and after them.
    before: usize,
    after: usize,
}

/// The phases along one axis that see some of the input, by their first tap, and whether there are
/// others.
#[derive(Debug, PartialEq, Eq)]
struct Phases {
    seeing: Vec<Phase>,
    others: bool,
}

impl Phases {
    fn of(op: &ConvTranspose2d, axis: usize, kernel: usize, input: usize, output: usize) -> Self {
        let (stride, padding, dilation) = (op.stride[axis], op.padding[axis], op.dilation[axis]);
        let common = greatest_common_divisor(stride, dilation);
        let tap_step = stride / common;
        let mut seeing = Vec::new();
        for tap in 0..kernel.min(tap_step) {
            // Row `o` sees input row `(o + padding - tap * dilation) / stride` through this tap.
            let place = tap as i128 * dilation as i128 - padding as i128;
            let first = place.rem_euclid(stride as i128);
            let Some(first) = usize::try_from(first).ok().filter(|&first| first < output) else { continue };
            let count = (output - first).div_ceil(stride);
            let taps = (kernel - tap).div_ceil(tap_step);
            let last = (first as i128 - place) / stride as i128;
            let reach = (taps as i128 - 1) * (dilation / common) as i128;
            // The input row that the first row sees through its last tap, and one past the last
            // row's.
            let (low, high) = (last - reach, last + count as i128);
            let (start, end) = (low.max(0), high.min(input as i128));
            if start >= end {
                continue;
            }
            let size = |rows: i128| usize::try_from(rows).expect("rows of a map that was checked");
            seeing.push(Phase {
                first,
                count,
                tap,
                taps,
                tap_step,
                dilation: dilation / common,
                start: size(start),
                len: size(end - start),
                before: size(start - low),
                after: size(high - end),
            });
        }
        let others = seeing.len() < stride.min(output);
        Self { seeing, others }
    }

    /// All columns' phases as one, if each sees the same input columns in the same way: kernels
    /// that are as wide as the stride, without padding (U-Net's). Neighbouring output pixels are
    /// then more channels of one pixel.
    fn joined(&self, stride: usize, output: usize) -> Option<Vec<Phase>> {
        let mut columns = self.seeing.clone();
        columns.sort_unstable_by_key(|phase| phase.first);
        let place = |phase: &Phase| Phase { first: 0, tap: 0, ..*phase };
        let alike = |phase: &Phase| place(phase) == place(&columns[0]);
        let fits = columns.len() == stride && output == stride * columns.first()?.count;
        (fits && stride > 1 && columns.iter().all(alike)).then_some(columns)
    }
}

fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A part of the output with the part of the kernel that it sees.
struct Piece<'a> {
    rows: Phase,
    /// Phases whose pixels are computed as one pixel's channels; nearly always one.
    columns: &'a [Phase],
}

impl Piece<'_> {
    /// Which of the weights it sees.
    fn part(&self, op: &ConvTranspose2d) -> Part {
        let columns = &self.columns[0];
        [self.rows.tap, columns.tap, self.rows.tap_step, columns.tap_step, self.columns.len(), op.dilation[1]]
    }

    /// The part's weights as those of a convolution, `[oc, ic / groups, kh, kw]`: channels
    /// exchanged and taps in the opposite order.
    fn kernel<T: Copy>(&self, all: &[T], shape: Shape, groups: usize) -> Result<Vec<T>> {
        let [inputs, outputs, height, width] = *shape else { unreachable!("a checked weight") };
        let inputs = inputs / groups;
        let taps = self.rows.taps * self.columns[0].taps;
        let len = self.columns.len() * groups * outputs * inputs * taps;
        let mut kernel = reserved(len, "a part of a transposed convolution's weights")?;
        let flipped = |phase: &Phase| {
            let Phase { tap, taps, tap_step, .. } = *phase;
            (0..taps).rev().map(move |i| tap + i * tap_step)
        };
        for column in self.columns {
            for group in 0..groups {
                for o in 0..outputs {
                    for i in 0..inputs {
                        let plane = ((group * inputs + i) * outputs + o) * height * width;
                        for y in flipped(&self.rows) {
                            kernel.extend(flipped(column).map(|x| all[plane + y * width + x]));
                        }
                    }
                }
            }
        }
        Ok(kernel)
    }

    /// The rows and columns of the output, or of a residual.
    fn of(&self, view: &View, op: &ConvTranspose2d) -> View {
        let columns = &self.columns[0];
        let rows = view.slice(2, self.rows.first, self.rows.count, op.stride[0]);
        let mut view = rows.slice(3, columns.first, columns.count, op.stride[1]);
        if self.columns.len() > 1 {
            view.shape[1] *= self.columns.len();
            view.strides[1] = 1;
        }
        view
    }

    /// The convolution between parts of the maps.
    fn desc(
        &self,
        op: &ConvTranspose2d,
        [input, output]: [FeatureMap; 2],
        residual: Option<FeatureMap>,
        weights: ElementType,
        activation: Activation,
    ) -> ConvDesc {
        let columns = &self.columns[0];
        ConvDesc {
            input,
            output,
            residual,
            kernel: [self.rows.taps, columns.taps],
            stride: [1, 1],
            dilation: [self.rows.dilation, columns.dilation],
            padding: Padding {
                top: self.rows.before,
                left: columns.before,
                bottom: self.rows.after,
                right: columns.after,
            },
            groups: op.groups,
            weights,
            activation,
        }
    }
}

impl Compiler<'_> {
    /// A transposed convolution.
    pub fn conv_transpose2d(&mut self, id: NodeId, op: &ConvTranspose2d) -> Result<Place> {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let from = self.channels_last(&node.name, from);
        let residual = self.residual(id);
        let [rows, columns] = self.phases(op, id, [self.shape(node.inputs[0]), self.shape(id)]);
        let layout = self.layout(id);
        let others = rows.others || columns.others;
        let to = if others {
            // The residual is read again after the whole output has been written.
            self.target(id, layout)
        } else {
            self.target_of_sum(id, from, residual, layout)
        };
        let operands = Operands { from, residual, to };
        let epilogue = self.epilogues.of(node)?;
        if others {
            self.unseeing(id, operands, &epilogue)?;
        }
        let dense = |view: &View| view.strides[3] == view.shape[1];
        let joined = columns
            .joined(op.stride[1], to.view.shape[3])
            .filter(|_| op.groups == 1 && dense(&to.view) && residual.is_none_or(|place| dense(&place.view)));
        let (pieces, epilogue): (Vec<&[Phase]>, _) = match &joined {
            Some(columns) => (vec![columns], repeated(&epilogue, to.view.shape[1], columns.len())?),
            None => (columns.seeing.chunks(1).collect(), epilogue),
        };
        for &rows in &rows.seeing {
            for &columns in &pieces {
                self.piece(id, op, &Piece { rows, columns }, operands, &epilogue)?;
            }
        }
        Ok(to)
    }

    /// The phases of both axes between maps of these shapes.
    fn phases(&self, op: &ConvTranspose2d, id: NodeId, [input, output]: [Shape; 2]) -> [Phases; 2] {
        let weight = self.node(id).params[0].as_ref().expect("a weight").shape();
        [0, 1].map(|axis| Phases::of(op, axis, weight[2 + axis], input[2 + axis], output[2 + axis]))
    }

    /// One step: the convolution of one phase.
    fn piece(
        &mut self,
        id: NodeId,
        op: &ConvTranspose2d,
        piece: &Piece<'_>,
        Operands { from, residual, to }: Operands,
        epilogue: &Epilogue,
    ) -> Result<()> {
        let columns = &piece.columns[0];
        let seen = from.view.slice(2, piece.rows.start, piece.rows.len, 1);
        let from = from.with(seen.slice(3, columns.start, columns.len, 1));
        let [to, residual] = [Some(to), residual].map(|place| Some(place?.with(piece.of(&place?.view, op))));
        let to = to.expect("the output");
        let maps = [from, to].map(|place| place.view.feature_map());
        let added = residual.map(|place| place.view.feature_map());
        let stored = self.node(id).params[0].as_ref().expect("a weight").element_type();
        let desc = piece.desc(op, maps, added, stored, epilogue.activation);
        let part = conv::choose(&self.chosen_piece(id, op, piece, &desc), self.isa, self.forced);
        let weight = self.node(id).params[0].as_ref().expect("a weight");
        let pack = |values: Values<'_>| match values {
            Values::F32(all) => {
                part.pack_values(&desc, Values::F32(&piece.kernel(all, weight.shape(), op.groups)?))
            }
            Values::F16(all) => {
                part.pack_values(&desc, Values::F16(&piece.kernel(all, weight.shape(), op.groups)?))
            }
        };
        let packed = weight.form_of_part(piece.part(op), (part.form)(&desc), desc.weight_shape(), pack)?;
        let weights = packed.bytes();
        let kernel = (part.prepare)(&desc, packed, epilogue.clone(), self.threads)?;
        self.convolution(id, &desc, weights, kernel, Operands { from, residual, to });
        Ok(())
    }

    /// The convolution for which the kernel of the phase `desc` is chosen. It is not `desc` if the
    /// plan's kernels are chosen for pictures of another size.
    fn chosen_piece(&self, id: NodeId, op: &ConvTranspose2d, piece: &Piece<'_>, desc: &ConvDesc) -> ConvDesc {
        let input = self.node(id).inputs[0];
        let [read, written] = [input, id].map(|id| self.chosen_shape(id));
        if [read, written] == [self.shape(input), self.shape(id)] {
            return *desc;
        }
        let [rows, columns] = self.phases(op, id, [read, written]);
        let same = |phases: &Phases, tap: usize| phases.seeing.iter().find(|phase| phase.tap == tap).copied();
        let (Some(rows), Some(columns)) = (same(&rows, piece.rows.tap), same(&columns, piece.columns[0].tap))
        else {
            return *desc;
        };
        let input = resized(desc.input, Shape::new(&[read[0], 1, rows.len, columns.len]));
        let output = resized(desc.output, Shape::new(&[written[0], 1, rows.count, columns.count]));
        Piece { rows, columns: &[columns] }.desc(
            op,
            [input, output],
            desc.residual,
            desc.weights,
            desc.activation,
        )
    }

    /// Write the output pixels that see nothing of the input: bias, residual and activation. This
    /// step writes all of the output, and the phases that see some of the input overwrite their
    /// pixels: there may be as many other phases as the stride is large.
    fn unseeing(
        &mut self,
        id: NodeId,
        Operands { from, residual, to }: Operands,
        epilogue: &Epilogue,
    ) -> Result<()> {
        // A convolution of one channel that sees padding only.
        let pixel = from.view.slice(1, 0, 1, 1).slice(2, 0, 1, 1).slice(3, 0, 1, 1);
        let output = to.view.feature_map();
        let desc = ConvDesc {
            input: pixel.feature_map(),
            output,
            residual: residual.map(|place| place.view.feature_map()),
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding { top: output.height, left: 0, bottom: 0, right: output.width - 1 },
            groups: 1,
            weights: ElementType::F32,
            activation: epilogue.activation,
        };
        let part = conv::choose(&desc, self.isa, self.forced);
        let weight = self.node(id).params[0].as_ref().expect("a weight");
        let pack = |_: Values<'_>| part.pack_values(&desc, Values::F32(&vec![0.0; output.channels]));
        let packed = weight.form_of_part([0; 6], (part.form)(&desc), desc.weight_shape(), pack)?;
        let kernel = (part.prepare)(&desc, packed, epilogue.clone(), self.threads)?;
        let read: Vec<Place> = [from.with(pixel)].into_iter().chain(residual).collect();
        self.step(&self.node(id).name, kernel, &read, to);
        Ok(())
    }
}

/// The epilogue of a map whose pixels are `times` pixels of `channels` each.
fn repeated(epilogue: &Epilogue, channels: usize, times: usize) -> Result<Epilogue> {
    let [scale, shift] = [&epilogue.scale, &epilogue.shift]
        .map(|values| values.as_deref().map(|values| values[..channels].repeat(times)));
    Epilogue::new(scale.as_deref(), shift.as_deref(), epilogue.activation)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel and input rows that output row `o` sees by the definition.
    fn seen(op: &ConvTranspose2d, kernel: usize, input: usize, o: usize) -> Vec<(usize, usize)> {
        let rows = (0..kernel).flat_map(|tap| (0..input).map(move |i| (tap, i)));
        let meets = |&(tap, i): &(usize, usize)| i * op.stride[0] + tap * op.dilation[0] == o + op.padding[0];
        rows.filter(meets).collect()
    }

    /// The kernel and input rows that each output row sees by the phases.
    fn seen_by_phases(phases: &Phases, stride: usize, output: usize) -> Vec<Vec<(usize, usize)>> {
        let mut all = vec![Vec::new(); output];
        for phase in &phases.seeing {
            assert_eq!(
                phase.before + phase.len + phase.after,
                phase.count + (phase.taps - 1) * phase.dilation
            );
            for row in 0..phase.count {
                for i in 0..phase.taps {
                    // As a convolution of stride 1 whose kernel's rows are in the opposite order.
                    let at = (row + i * phase.dilation).checked_sub(phase.before);
                    let tap = phase.tap + (phase.taps - 1 - i) * phase.tap_step;
                    if let Some(at) = at.filter(|&at| at < phase.len) {
                        all[phase.first + row * stride].push((tap, phase.start + at));
                    }
                }
            }
        }
        for seen in &mut all {
            seen.sort_unstable();
        }
        all
    }

    #[test]
    fn phases_see_what_the_definition_says() {
        let plain = ConvTranspose2d {
            stride: [1, 1],
            padding: [0, 0],
            output_padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        let sizes = |most: usize| 1..=most;
        let kinds = sizes(4).flat_map(|stride| sizes(4).map(move |dilation| (stride, dilation)));
        for (stride, dilation) in kinds {
            for (kernel, input) in sizes(5).flat_map(|kernel| sizes(4).map(move |input| (kernel, input))) {
                for (padding, more) in (0..5).flat_map(|p| (0..stride.max(dilation)).map(move |m| (p, m))) {
                    let op = ConvTranspose2d {
                        stride: [stride; 2],
                        padding: [padding; 2],
                        dilation: [dilation; 2],
                        ..plain
                    };
                    let whole = (input - 1) * stride + dilation * (kernel - 1) + more + 1;
                    let Some(output) = whole.checked_sub(2 * padding).filter(|&size| size > 0) else {
                        continue;
                    };
                    let phases = Phases::of(&op, 0, kernel, input, output);
                    let expected: Vec<_> = (0..output).map(|o| seen(&op, kernel, input, o)).collect();
                    assert_eq!(seen_by_phases(&phases, stride, output), expected, "{op:?} {kernel} {input}");
                    let covered: usize = phases.seeing.iter().map(|phase| phase.count).sum();
                    assert_eq!(phases.others, covered < output);
                }
            }
        }
    }
}
