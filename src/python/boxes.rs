//! Boxes on pictures.

use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::errors::interruptible;
use super::guard::{guarded, zeros};
use crate::boxes;
use crate::error::Error;

/// Non-maximum suppression, within each class if there are classes: the indices of the boxes to
/// keep, best first.
///
/// Boxes are C-contiguous float32 (N, 4), scores float32 (N,), classes int64 (N,). The GIL is
/// released during the run, and Ctrl-C stops it.
#[pyfunction]
#[pyo3(signature = (boxes, scores, iou_threshold, classes = None))]
pub fn nms<'py>(
    py: Python<'py>,
    boxes: PyReadonlyArray2<'py, f32>,
    scores: PyReadonlyArray1<'py, f32>,
    iou_threshold: f64,
    classes: Option<PyReadonlyArray1<'py, i64>>,
) -> PyResult<Bound<'py, PyArrayDyn<i64>>> {
    guarded(|| {
        let layout = |what: &str| Error::Input {
            what: format!("nms: {what}"),
            expected: "an aligned, C-contiguous array, (N, 4) for boxes".into(),
            found: "another one".into(),
        };
        // `as_slice` alone would also accept Fortran order.
        let contiguous = boxes.is_c_contiguous() && boxes.shape()[1] == 4;
        let corners = if contiguous { boxes.as_slice().ok() } else { None }.ok_or_else(|| layout("boxes"))?;
        let (corners, _) = corners.as_chunks::<4>();
        let scores = scores.as_slice().map_err(|_| layout("scores"))?;
        let classes = match &classes {
            Some(classes) => Some(classes.as_slice().map_err(|_| layout("classes"))?),
            None => None,
        };
        let kept = interruptible(py, |interrupted| {
            boxes::nms(corners, scores, classes, iou_threshold, interrupted)
        })?;
        let array = zeros::<i64>(py, &[kept.len()], "the boxes to keep")?;
        for (to, &place) in array.readwrite().as_slice_mut()?.iter_mut().zip(&kept) {
            *to = place as i64;
        }
        Ok::<_, PyErr>(array)
    })
}
