//! The transforms of F(4x4, 3x3) and F(2x2, 3x3), one dimension at a time, vectorised over
//! channels.
//!
//! A two-dimensional transform is the one-dimensional one over columns, then over rows. Points are
//! 0, 1, -1, 2, -2 and infinity for F4, 0, 1, -1 and infinity for F2 (Lavin and Gray, "Fast
//! algorithms for convolutional neural networks", 2015).

use crate::simd::Simd;

/// One-dimensional transforms of an algorithm that makes `M` outputs of a three-tap filter from
/// `A = M + 2` inputs.
pub trait Algorithm<const A: usize, const M: usize>: Copy + Send + Sync + 'static {
    /// `G g`: a filter's three taps.
    fn weights(g: [f64; 3]) -> [f64; A];
    /// `Bᵀ d`: a run of inputs.
    fn input<S: Simd>(s: S, d: [S::F32; A]) -> [S::F32; A];
    /// `Aᵀ m`: the outputs from the products.
    fn output<S: Simd>(s: S, m: [S::F32; A]) -> [S::F32; M];
}

/// F(4, 3): 6 products for 4 outputs, 36 for 16 in two dimensions (instead of 144).
#[derive(Clone, Copy, Debug)]
pub struct F4;

/// F(2, 3): 4 products for 2 outputs, 16 for 4 in two dimensions (instead of 36).
#[derive(Clone, Copy, Debug)]
pub struct F2;

impl Algorithm<6, 4> for F4 {
    #[inline(always)]
    fn weights([g0, g1, g2]: [f64; 3]) -> [f64; 6] {
        let (one, two) = (-(g0 + g2) / 6.0, g0 / 24.0 + g2 / 6.0);
        let (odd_one, odd_two) = (g1 / 6.0, g1 / 12.0);
        [g0 / 4.0, one - odd_one, one + odd_one, two + odd_two, two - odd_two, g2]
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, [d0, d1, d2, d3, d4, d5]: [S::F32; 6]) -> [S::F32; 6] {
        let (four, minus_four, minus_five) = (s.splat(4.0), s.splat(-4.0), s.splat(-5.0));
        let (even_one, odd_one) = (s.fma(d2, minus_four, d4), s.fma(d1, minus_four, d3));
        let (even_two, odd_two) = (s.sub(d4, d2), s.sub(d3, d1));
        [
            s.fma(d0, four, s.fma(d2, minus_five, d4)),
            s.add(even_one, odd_one),
            s.sub(even_one, odd_one),
            s.fma(odd_two, s.splat(2.0), even_two),
            s.fma(odd_two, s.splat(-2.0), even_two),
            s.fma(d1, four, s.fma(d3, minus_five, d5)),
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3, m4, m5]: [S::F32; 6]) -> [S::F32; 4] {
        let (even_one, odd_one) = (s.add(m1, m2), s.sub(m1, m2));
        let (even_two, odd_two) = (s.add(m3, m4), s.sub(m3, m4));
        [
            s.add(s.add(m0, even_one), even_two),
            s.fma(odd_two, s.splat(2.0), odd_one),
            s.fma(even_two, s.splat(4.0), even_one),
            s.fma(odd_two, s.splat(8.0), s.add(odd_one, m5)),
        ]
    }
}

impl Algorithm<4, 2> for F2 {
    #[inline(always)]
    fn weights([g0, g1, g2]: [f64; 3]) -> [f64; 4] {
        let (even, odd) = (g0.midpoint(g2), g1 / 2.0);
        [g0, even + odd, even - odd, g2]
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, [d0, d1, d2, d3]: [S::F32; 4]) -> [S::F32; 4] {
        [s.sub(d0, d2), s.add(d1, d2), s.sub(d2, d1), s.sub(d1, d3)]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3]: [S::F32; 4]) -> [S::F32; 2] {
        [s.add(s.add(m0, m1), m2), s.sub(s.sub(m1, m2), m3)]
    }
}

/// `G g Gᵀ` of a 3x3 filter, for `N` filters side by side.
#[inline(always)]
pub fn weights_2d<T: Algorithm<A, M>, const A: usize, const M: usize, const N: usize>(
    filters: &[[f64; N]; 9],
    out: &mut [[[f64; N]; A]; A],
) {
    let mut columns = [[[0.0; N]; 3]; A];
    for x in 0..3 {
        for n in 0..N {
            let t = T::weights(std::array::from_fn(|y| filters[y * 3 + x][n]));
            for y in 0..A {
                columns[y][x][n] = t[y];
            }
        }
    }
    for (row, out) in columns.iter().zip(out) {
        for n in 0..N {
            let t = T::weights(std::array::from_fn(|x| row[x][n]));
            for x in 0..A {
                out[x][n] = t[x];
            }
        }
    }
}

/// `Bᵀ d B` of one vector of channels: the first `lanes` floats at each pixel's address plus
/// `offset`. The values go to planes at `out`.
///
/// # Safety
/// The pixels are valid for reading so many floats there; `out` for writing a vector in each plane.
#[inline(always)]
pub unsafe fn input_2d<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    s: S,
    pixels: &[[*const f32; A]; A],
    (offset, lanes): (usize, usize),
    (out, plane): (*mut f32, usize),
) {
    // 36 vectors are more than there are registers: the columns' transforms wait in memory.
    let mut columns = [[s.zero(); A]; A];
    for x in 0..A {
        let mut d = [s.zero(); A];
        for y in 0..A {
            // SAFETY: the caller's contract.
            unsafe {
                let at = pixels[y][x].add(offset);
                d[y] = if lanes == S::LANES { s.load(at) } else { s.load_partial(at, lanes) };
            }
        }
        let t = T::input(s, d);
        for y in 0..A {
            columns[y][x] = t[y];
        }
    }
    for (y, row) in columns.into_iter().enumerate() {
        for (x, value) in T::input(s, row).into_iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe { s.store(out.add((y * A + x) * plane), value) };
        }
    }
}

/// `Aᵀ m` of one vector of channels, the products' columns; `T::output` of each row makes `Aᵀ m A`.
///
/// # Safety
/// `products` is valid for reading a vector in each plane.
#[inline(always)]
pub unsafe fn output_columns<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    s: S,
    (products, plane): (*const f32, usize),
) -> [[S::F32; A]; M] {
    let mut columns = [[s.zero(); A]; M];
    for x in 0..A {
        let mut m = [s.zero(); A];
        for (y, m) in m.iter_mut().enumerate() {
            // SAFETY: the caller's contract.
            *m = unsafe { s.load(products.add((y * A + x) * plane)) };
        }
        for (row, value) in columns.iter_mut().zip(T::output(s, m)) {
            row[x] = value;
        }
    }
    columns
}
