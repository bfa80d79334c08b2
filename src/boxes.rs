//! Boxes: which of several overlapping detections to keep.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Boxes compared before checking whether one of them matched. Longer blocks pipeline better,
/// shorter ones stop earlier.
const BLOCK: usize = 32;

/// Blocks compared between two calls of `interrupted`: about 50 ms.
const BLOCKS_BETWEEN_LOOKS: usize = 1 << 20;

/// Non-maximum suppression: the boxes to keep, best first.
///
/// The box with the highest score is kept, boxes that overlap it by more than `iou_threshold` are
/// dropped, and so on with the rest. Boxes with equal scores keep their order. With `classes`, one
/// for each box, only boxes of the same class suppress each other.
///
/// Boxes are (x0, y0, x1, y1). Every number is rounded as in torchvision's `nms` on float32: areas
/// and overlaps are f32, and the comparison with the threshold is exact. Two boxes without area
/// whose union is empty do not suppress each other (0 / 0 is above no threshold).
///
/// `interrupted` is called about every 50 ms.
///
/// # Errors
/// If the lengths differ, a box, a score or the threshold is NaN, or the caller was interrupted.
pub fn nms(
    boxes: &[[f32; 4]],
    scores: &[f32],
    classes: Option<&[i64]>,
    iou_threshold: f64,
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<Vec<usize>> {
    check(boxes, scores, classes, iou_threshold)?;
    let threshold = largest_f32_up_to(iou_threshold);
    let mut order = room(boxes.len())?;
    order.extend(0..boxes.len());
    // No score is NaN, so this is a total order.
    // Sorting by index too gives the order of a stable sort without its memory.
    order.sort_unstable_by(|&a, &b| {
        let by_score = scores[b].partial_cmp(&scores[a]).unwrap_or(std::cmp::Ordering::Equal);
        by_score.then(a.cmp(&b))
    });

    let mut kept: HashMap<i64, Kept> = HashMap::new();
    let mut work = 0;
    // Instead of flagging the boxes that a kept box suppresses, each box searches for one that
    // suppresses it. The same boxes are compared, a class has to search only its own boxes, and
    // the first match ends the search.
    let mut result = Vec::new();
    for i in order {
        let class = classes.map_or(0, |classes| classes[i]);
        kept.try_reserve(1).map_err(|_| no_memory(boxes.len()))?;
        let rivals = kept.entry(class).or_default();
        let (suppressed, compared) = rivals.suppress(boxes[i], threshold);
        if !suppressed {
            rivals.push(boxes[i])?;
            result.try_reserve(1).map_err(|_| no_memory(boxes.len()))?;
            result.push(i);
        }
        work += compared;
        if work >= BLOCKS_BETWEEN_LOOKS {
            work = 0;
            if interrupted() {
                return Err(Error::Interrupted);
            }
        }
    }
    Ok(result)
}

fn room<T>(len: usize) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).map_err(|_| no_memory(len))?;
    Ok(vector)
}

fn no_memory(boxes: usize) -> Error {
    Error::OutOfMemory { bytes: boxes.saturating_mul(size_of::<usize>()), what: "the order of the boxes" }
}

fn check(boxes: &[[f32; 4]], scores: &[f32], classes: Option<&[i64]>, iou_threshold: f64) -> Result<()> {
    let name = if classes.is_some() { "batched_nms" } else { "nms" };
    let lengths = [("scores", Some(scores.len())), ("idxs", classes.map(<[i64]>::len))];
    for (argument, length) in lengths {
        if let Some(length) = length.filter(|&length| length != boxes.len()) {
            return Err(Error::Input {
                what: format!("{name}: {argument}"),
                expected: format!("one for each of the {} boxes", boxes.len()),
                found: format!("{length}"),
            });
        }
    }
    let not_a_number = |attribute, place: String| Error::Attribute {
        node: name.into(),
        attribute,
        expected: "numbers".into(),
        found: format!("NaN{place}; leave such boxes out first"),
    };
    if iou_threshold.is_nan() {
        return Err(Error::Attribute {
            node: name.into(),
            attribute: "iou_threshold",
            expected: "a number".into(),
            found: "NaN".into(),
        });
    }
    if let Some(i) = boxes.iter().position(|corners| corners.iter().any(|c| c.is_nan())) {
        return Err(not_a_number("boxes", format!(" in boxes[{i}]")));
    }
    if let Some(i) = scores.iter().position(|score| score.is_nan()) {
        return Err(not_a_number("scores", format!(" in scores[{i}]")));
    }
    Ok(())
}

/// The largest f32 that is not larger than `value`: an f32 is above it exactly if it is above
/// `value`.
fn largest_f32_up_to(value: f64) -> f32 {
    let rounded = value as f32;
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

/// The boxes of a class that have been kept so far.
#[derive(Default)]
struct Kept {
    blocks: Vec<Block>,
    /// In the last block.
    len: usize,
}

/// Corners and areas side by side. Unused entries are NaN, whose overlap with anything is above no
/// threshold.
struct Block {
    x0: [f32; BLOCK],
    y0: [f32; BLOCK],
    x1: [f32; BLOCK],
    y1: [f32; BLOCK],
    area: [f32; BLOCK],
}

impl Kept {
    fn push(&mut self, [x0, y0, x1, y1]: [f32; 4]) -> Result<()> {
        if self.blocks.is_empty() || self.len == BLOCK {
            let unused = [f32::NAN; BLOCK];
            self.blocks.try_reserve(1).map_err(|_| no_memory(self.blocks.len() * BLOCK))?;
            self.blocks.push(Block { x0: unused, y0: unused, x1: unused, y1: unused, area: unused });
            self.len = 0;
        }
        let (at, last) = (self.len, self.blocks.len() - 1);
        let block = &mut self.blocks[last];
        block.x0[at] = x0;
        block.y0[at] = y0;
        block.x1[at] = x1;
        block.y1[at] = y1;
        block.area[at] = area([x0, y0, x1, y1]);
        self.len += 1;
        Ok(())
    }

    /// Whether one of them overlaps this box by more than `threshold`, and how many blocks were
    /// compared.
    fn suppress(&self, corners: [f32; 4], threshold: f32) -> (bool, usize) {
        for (number, block) in self.blocks.iter().enumerate() {
            if block.suppress(corners, threshold) {
                return (true, number + 1);
            }
        }
        (false, self.blocks.len())
    }
}

impl Block {
    fn suppress(&self, [x0, y0, x1, y1]: [f32; 4], threshold: f32) -> bool {
        let own = area([x0, y0, x1, y1]);
        let mut found = false;
        for at in 0..BLOCK {
            let width = larger(0.0, smaller(self.x1[at], x1) - larger(self.x0[at], x0));
            let height = larger(0.0, smaller(self.y1[at], y1) - larger(self.y0[at], y0));
            let intersection = width * height;
            let union = self.area[at] + own - intersection;
            // Without an early exit, the compiler vectorises the loop.
            found |= intersection / union > threshold;
        }
        found
    }
}

fn area([x0, y0, x1, y1]: [f32; 4]) -> f32 {
    (x1 - x0) * (y1 - y0)
}

/// C++'s `std::max`: unlike `f32::max` it is one instruction. It returns the first argument if the
/// second is NaN.
fn larger(a: f32, b: f32) -> f32 {
    if a < b { b } else { a }
}

/// C++'s `std::min`.
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(boxes: &[[f32; 4]], scores: &[f32], classes: Option<&[i64]>, iou_threshold: f64) -> Vec<usize> {
        nms(boxes, scores, classes, iou_threshold, &mut || false).unwrap()
    }

    /// The definition, with flags, one pair at a time.
    fn by_definition(boxes: &[[f32; 4]], scores: &[f32], classes: &[i64], threshold: f64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..boxes.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut suppressed = vec![false; boxes.len()];
        let mut kept = Vec::new();
        for (place, &i) in order.iter().enumerate() {
            if suppressed[i] {
                continue;
            }
            kept.push(i);
            for &j in &order[place + 1..] {
                let (a, b) = (boxes[i], boxes[j]);
                let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
                let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
                let iou = width * height / (area(a) + area(b) - width * height);
                suppressed[j] |= classes[i] == classes[j] && f64::from(iou) > threshold;
            }
        }
        kept
    }

    #[test]
    fn the_best_of_overlapping_boxes_is_kept() {
        let boxes = [[0., 0., 10., 10.], [1., 1., 11., 11.], [20., 20., 30., 30.], [0., 0., 10., 9.]];
        assert_eq!(run(&boxes, &[0.5, 0.9, 0.1, 0.8], None, 0.5), [1, 2]);
        assert_eq!(run(&boxes, &[0.5, 0.9, 0.1, 0.8], None, 0.9), [1, 3, 0, 2]);
        assert_eq!(run(&[], &[], None, 0.5), [] as [usize; 0]);
    }

    #[test]
    fn only_boxes_of_a_class_suppress_each_other() {
        let boxes = [[0., 0., 10., 10.]; 4];
        assert_eq!(run(&boxes, &[0.1, 0.2, 0.3, 0.4], Some(&[7, -1, 7, i64::MAX]), 0.5), [3, 2, 1]);
    }

    #[test]
    fn of_equal_scores_the_first_comes_first() {
        let boxes = [[0., 0., 1., 1.], [5., 5., 6., 6.], [0., 0., 1., 1.], [9., 9., 10., 10.]];
        assert_eq!(run(&boxes, &[0.0, -0.0, 0.0, 0.0], None, 0.5), [0, 1, 3]);
    }

    #[test]
    fn an_overlap_is_compared_with_the_threshold_as_it_is() {
        // Their overlap is a third, which f32 rounds up.
        let boxes = [[0., 0., 1., 2.], [0., 1., 1., 3.]];
        let third = 1.0 / 3.0;
        assert_eq!(run(&boxes, &[1.0, 0.5], None, third), [0]);
        assert_eq!(run(&boxes, &[1.0, 0.5], None, f64::from(third as f32)), [0, 1]);
        let half = [[0., 0., 2., 1.], [0., 0., 1., 1.]];
        assert_eq!(run(&half, &[1.0, 0.5], None, 0.5), [0, 1]);
    }

    #[test]
    fn bad_arguments_are_errors() {
        let square = [[0., 0., 1., 1.]];
        let told = |result: Result<Vec<usize>>| result.unwrap_err().to_string();
        let never = &mut || false;
        assert_eq!(
            told(nms(&square, &[0.1, 0.2], None, 0.5, never)),
            "nms: scores: expected one for each of the 1 boxes, got 2"
        );
        assert_eq!(
            told(nms(&square, &[0.1], Some(&[]), 0.5, never)),
            "batched_nms: idxs: expected one for each of the 1 boxes, got 0"
        );
        let nan = f32::NAN;
        assert!(told(nms(&[[0., nan, 1., 1.]], &[0.1], None, 0.5, never)).contains("NaN in boxes[0]"));
        assert!(told(nms(&square, &[nan], None, 0.5, never)).contains("NaN in scores[0]"));
        assert!(told(nms(&square, &[0.1], None, f64::NAN, never)).contains("iou_threshold"));
    }

    #[test]
    fn a_long_run_can_be_interrupted() {
        let boxes: Vec<[f32; 4]> = (0..20_000).map(|i| [i as f32, 0., i as f32 + 0.5, 1.]).collect();
        let scores = vec![0.5; boxes.len()];
        let mut looks = 0;
        let result = nms(&boxes, &scores, None, 0.5, &mut || {
            looks += 1;
            looks == 2
        });
        assert!(matches!(result, Err(Error::Interrupted)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        // Few distinct coordinates, so that boxes coincide, touch, have no area or are inverted.
        #[test]
        fn keeps_what_the_definition_keeps(
            boxes in prop::collection::vec((0..12i8, 0..12i8, 0..16i8, 0..16i8), 0..200),
            seed in 0..1000i64,
            threshold in -0.1..1.1f64,
        ) {
            let boxes: Vec<[f32; 4]> = boxes
                .into_iter()
                .map(|(x, y, w, h)| [x, y, x + w - 1, y + h - 1].map(|v| f32::from(v) * 0.7))
                .collect();
            let scores: Vec<f32> = (0..boxes.len() as i64).map(|i| ((i * seed) % 17) as f32).collect();
            let classes: Vec<i64> = (0..boxes.len() as i64).map(|i| (i * seed) % 3).collect();
            let one = vec![0; boxes.len()];
            prop_assert_eq!(run(&boxes, &scores, None, threshold), by_definition(&boxes, &scores, &one, threshold));
            prop_assert_eq!(
                run(&boxes, &scores, Some(&classes), threshold),
                by_definition(&boxes, &scores, &classes, threshold)
            );
        }
    }
}
