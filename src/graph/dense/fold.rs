//! An average over uneven areas and the linear layer after it, as one convolution.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::tensor::{AlignedBuf, Param, Shape, reserved};

/// The convolution kernel `[out, channels, h, w]` equal to a linear layer of weight
/// `[out, channels * areas]` after `AdaptiveAvgPool2d(areas)` of a map of `size` h x w. Summed in
/// f64, rounded once.
///
/// # Errors
/// If its memory cannot be allocated.
pub fn averaged_kernel(weight: &Param, areas: [usize; 2], size: [usize; 2]) -> Result<Arc<Param>> {
    let shape = kernel_shape(weight, areas, size)?;
    let [height, width] = size;
    let shares = [0, 1].map(|axis| shares(areas[axis], size[axis]));
    let mut kernel = AlignedBuf::<f32>::zeroed(shape.numel(), "a kernel that averages")?;
    let mut plane = reserved(height * width, "a kernel that averages")?;
    plane.resize(height * width, 0.0_f64);
    for (from, to) in
        weight.data().chunks_exact(areas[0] * areas[1]).zip(kernel.chunks_exact_mut(height * width))
    {
        plane.fill(0.0);
        for (area, &value) in from.iter().enumerate() {
            let (rows, columns) = (&shares[0][area / areas[1]], &shares[1][area % areas[1]]);
            let share = f64::from(value) / (rows.len() * columns.len()) as f64;
            for row in rows.clone() {
                plane[row * width..][columns.clone()].iter_mut().for_each(|sum| *sum += share);
            }
        }
        for (to, &sum) in to.iter_mut().zip(&plane) {
            *to = sum as f32;
        }
    }
    Ok(Arc::new(Param::new(shape, &kernel)?))
}

/// A kernel of this size without values.
///
/// # Errors
/// If its memory cannot be allocated.
pub fn averaged_sizes(weight: &Param, areas: [usize; 2], size: [usize; 2]) -> Result<Arc<Param>> {
    Ok(Arc::new(Param::zeros(kernel_shape(weight, areas, size)?)?))
}

fn kernel_shape(weight: &Param, areas: [usize; 2], size: [usize; 2]) -> Result<Shape> {
    let channels = weight.shape()[1] / (areas[0] * areas[1]);
    let dims = [weight.shape()[0], channels, size[0], size[1]];
    Shape::try_new(&dims)
        .ok_or_else(|| Error::TooLarge { node: "convolutionize".into(), found: format!("a kernel {dims:?}") })
}

/// The positions, out of `size`, that each area of torch's adaptive pools covers.
fn shares(areas: usize, size: usize) -> Vec<std::ops::Range<usize>> {
    (0..areas).map(|i| i * size / areas..((i + 1) * size).div_ceil(areas)).collect()
}
