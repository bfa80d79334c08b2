//! The transforms of Winograd's algorithms `F(M, R)`, one dimension at a time, vectorised over
//! channels.
//!
//! A two-dimensional transform applies the vertical algorithm to columns, then the horizontal one
//! to rows; a filter of one row or column has [`Identity`] in the other direction. Points are 0, 1,
//! -1 and infinity for a tile of 4 values, with 2 and -2 for 6, and with 1/2 and -1/2 for 8 (Lavin
//! and Gray, "Fast algorithms for convolutional neural networks", 2015). The input transform
//! depends only on the points, not on how many of a tile's values are outputs.

use crate::simd::Simd;

/// The most taps of a filter's side.
pub const MAX_TAPS: usize = 7;

/// One-dimensional transforms of an algorithm that makes `M` outputs of a filter of [`taps`] taps
/// from `A` inputs, by `A` products.
pub trait Algorithm<const A: usize, const M: usize>: Copy + Send + Sync + 'static {
    /// Inputs from one output's first input to the next output's.
    const STRIDE: usize = 1;
    /// `G g` of a filter's taps; those after the last one are zeros.
    fn weights(g: [f64; MAX_TAPS]) -> [f64; A];
    /// `Bᵀ d` of a run of inputs.
    fn input<S: Simd>(s: S, d: [S::F32; A]) -> [S::F32; A];
    /// `Aᵀ m`: the outputs from the products.
    fn output<S: Simd>(s: S, m: [S::F32; A]) -> [S::F32; M];
    /// With this many outputs or fewer, the [`Self::UNUSED`] products are not needed, with the same
    /// weights; 0 if they always are.
    const SHORT: usize = 0;
    /// Products that a short run of outputs omits.
    const UNUSED: &'static [usize] = &[];
    /// As [`Self::input`] for a short run; the [`Self::UNUSED`] values are arbitrary.
    #[inline(always)]
    fn short_input<S: Simd>(s: S, d: [S::F32; A]) -> [S::F32; A] {
        Self::input(s, d)
    }
    /// As [`Self::output`] for a short run: the first [`Self::SHORT`] outputs, for any values of
    /// the unused products.
    #[inline(always)]
    fn short_output<S: Simd>(s: S, m: [S::F32; A]) -> [S::F32; M] {
        Self::output(s, m)
    }
}

/// Taps along the side of an algorithm's filter.
pub const fn taps<T: Algorithm<A, M>, const A: usize, const M: usize>() -> usize {
    A - (M - 1) * T::STRIDE
}

/// F(1, 1): the input itself, for the direction in which a filter has one tap.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

/// F(4, 3): 6 products for 4 outputs, 36 for 16 in two dimensions (instead of 144).
#[derive(Clone, Copy, Debug)]
pub struct F4;

/// F(2, 3): 4 products for 2 outputs, 16 for 4 in two dimensions (instead of 36).
#[derive(Clone, Copy, Debug)]
pub struct F2;

/// Three taps at stride 2: the two outer ones read the even inputs, and are an F(2, 2) of 3
/// products for 2 outputs; the middle one reads the odd inputs. 25 products for 4 outputs in two
/// dimensions (instead of 36).
#[derive(Clone, Copy, Debug)]
pub struct F2Stride2;

/// F(4, 5): 8 products for 4 outputs, 64 for 16 in two dimensions (instead of 400).
#[derive(Clone, Copy, Debug)]
pub struct F4Of5;

/// F(2, 7): 8 products for 2 outputs (instead of 14), of the points of [`F4Of5`].
#[derive(Clone, Copy, Debug)]
pub struct F2Of7;

impl Algorithm<1, 1> for Identity {
    #[inline(always)]
    fn weights([g0, ..]: [f64; MAX_TAPS]) -> [f64; 1] {
        [g0]
    }

    #[inline(always)]
    fn input<S: Simd>(_: S, d: [S::F32; 1]) -> [S::F32; 1] {
        d
    }

    #[inline(always)]
    fn output<S: Simd>(_: S, m: [S::F32; 1]) -> [S::F32; 1] {
        m
    }
}

impl Algorithm<6, 4> for F4 {
    #[inline(always)]
    fn weights([g0, g1, g2, ..]: [f64; MAX_TAPS]) -> [f64; 6] {
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

    // F(2, 3) has the points 0, 1, -1 and infinity; its weights are 4, -3, -3 and 1 times those
    // here.
    const SHORT: usize = 2;
    const UNUSED: &'static [usize] = &[3, 4];

    #[inline(always)]
    fn short_input<S: Simd>(s: S, [d0, d1, d2, d3, ..]: [S::F32; 6]) -> [S::F32; 6] {
        let (three, zero) = (s.splat(3.0), s.zero());
        let at_one = s.mul(s.add(d1, d2), s.splat(-3.0));
        [s.mul(s.sub(d0, d2), s.splat(4.0)), at_one, s.mul(s.sub(d1, d2), three), zero, zero, s.sub(d3, d1)]
    }

    #[inline(always)]
    fn short_output<S: Simd>(s: S, [m0, m1, m2, _, _, m5]: [S::F32; 6]) -> [S::F32; 4] {
        [s.add(s.add(m0, m1), m2), s.add(s.sub(m1, m2), m5), s.zero(), s.zero()]
    }
}

impl Algorithm<4, 2> for F2 {
    #[inline(always)]
    fn weights([g0, g1, g2, ..]: [f64; MAX_TAPS]) -> [f64; 4] {
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

    // F(1, 3) of the points 0, 1 and infinity; its weight at 1 is twice that here.
    const SHORT: usize = 1;
    const UNUSED: &'static [usize] = &[2];

    #[inline(always)]
    fn short_input<S: Simd>(s: S, [d0, d1, d2, _]: [S::F32; 4]) -> [S::F32; 4] {
        [s.sub(d0, d1), s.add(d1, d1), s.zero(), s.sub(d2, d1)]
    }

    #[inline(always)]
    fn short_output<S: Simd>(s: S, [m0, m1, _, m3]: [S::F32; 4]) -> [S::F32; 2] {
        [s.add(s.add(m0, m1), m3), s.zero()]
    }
}

impl Algorithm<5, 2> for F2Stride2 {
    const STRIDE: usize = 2;

    #[inline(always)]
    fn weights([g0, g1, g2, ..]: [f64; MAX_TAPS]) -> [f64; 5] {
        [g0, g0 + g2, g2, g1, g1]
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, [d0, d1, d2, d3, d4]: [S::F32; 5]) -> [S::F32; 5] {
        [s.sub(d0, d2), d2, s.sub(d4, d2), d1, d3]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3, m4]: [S::F32; 5]) -> [S::F32; 2] {
        [s.add(s.add(m0, m1), m3), s.add(s.add(m1, m2), m4)]
    }
}

impl Algorithm<8, 4> for F4Of5 {
    #[inline(always)]
    fn weights([g0, g1, g2, g3, g4, ..]: [f64; MAX_TAPS]) -> [f64; 8] {
        let (one, odd_one) = (g0 + g2 + g4, g1 + g3);
        let (two, odd_two) = (g0 + 4.0 * g2 + 16.0 * g4, 2.0 * g1 + 8.0 * g3);
        let (half, odd_half) = (g0 + g2 / 4.0 + g4 / 16.0, g1 / 2.0 + g3 / 8.0);
        [
            g0,
            (one + odd_one) * -2.0 / 9.0,
            (one - odd_one) * -2.0 / 9.0,
            (two + odd_two) / 90.0,
            (two - odd_two) / 90.0,
            (half + odd_half) * 32.0 / 45.0,
            (half - odd_half) * 32.0 / 45.0,
            g4,
        ]
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, [d0, d1, d2, d3, d4, d5, d6, d7]: [S::F32; 8]) -> [S::F32; 8] {
        let (half, two, middle) = (s.splat(0.5), s.splat(2.0), s.splat(-2.5));
        let even_one = s.fma(d4, s.splat(-4.25), s.add(d2, d6));
        let odd_one = s.fma(d3, s.splat(-4.25), s.add(d1, d5));
        let even_two = s.fma(d4, s.splat(-1.25), s.fma(d2, s.splat(0.25), d6));
        let odd_two = s.fma(d5, two, s.fma(d3, middle, s.mul(d1, half)));
        let even_half = s.fma(d4, s.splat(-5.0), s.fma(d2, s.splat(4.0), d6));
        let odd_half = s.fma(d5, half, s.fma(d3, middle, s.mul(d1, two)));
        [
            s.fma(s.sub(d4, d2), s.splat(5.25), s.sub(d0, d6)),
            s.add(even_one, odd_one),
            s.sub(even_one, odd_one),
            s.add(even_two, odd_two),
            s.sub(even_two, odd_two),
            s.add(even_half, odd_half),
            s.sub(even_half, odd_half),
            s.fma(s.sub(d3, d5), s.splat(5.25), s.sub(d7, d1)),
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3, m4, m5, m6, m7]: [S::F32; 8]) -> [S::F32; 4] {
        let (even_one, odd_one) = (s.add(m1, m2), s.sub(m1, m2));
        let (even_two, odd_two) = (s.add(m3, m4), s.sub(m3, m4));
        let (even_half, odd_half) = (s.add(m5, m6), s.sub(m5, m6));
        [
            s.add(s.add(m0, even_one), s.add(even_two, even_half)),
            s.fma(odd_two, s.splat(2.0), s.fma(odd_half, s.splat(0.5), odd_one)),
            s.fma(even_two, s.splat(4.0), s.fma(even_half, s.splat(0.25), even_one)),
            s.fma(odd_two, s.splat(8.0), s.fma(odd_half, s.splat(0.125), s.add(odd_one, m7))),
        ]
    }
}

impl Algorithm<8, 2> for F2Of7 {
    #[inline(always)]
    fn weights([g0, g1, g2, g3, g4, g5, g6]: [f64; MAX_TAPS]) -> [f64; 8] {
        // The filter's polynomial at a point and its negative, from its even and odd powers.
        let at = |p: f64, factor: f64| {
            let square = p * p;
            let even = g0 + square * (g2 + square * (g4 + square * g6));
            let odd = p * (g1 + square * (g3 + square * g5));
            [(even + odd) * factor, (even - odd) * factor]
        };
        let [one, minus_one] = at(1.0, -2.0 / 9.0);
        let [two, minus_two] = at(2.0, 1.0 / 90.0);
        let [half, minus_half] = at(0.5, 32.0 / 45.0);
        [g0, one, minus_one, two, minus_two, half, minus_half, g6]
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::F32; 8]) -> [S::F32; 8] {
        F4Of5::input(s, d)
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3, m4, m5, m6, m7]: [S::F32; 8]) -> [S::F32; 2] {
        let (even_one, odd_one) = (s.add(m1, m2), s.sub(m1, m2));
        let (even_two, odd_two) = (s.add(m3, m4), s.sub(m3, m4));
        let (even_half, odd_half) = (s.add(m5, m6), s.sub(m5, m6));
        [
            s.add(s.add(m0, even_one), s.add(even_two, even_half)),
            s.fma(odd_two, s.splat(2.0), s.fma(odd_half, s.splat(0.5), s.add(odd_one, m7))),
        ]
    }
}

/// `G g Gᵀ` in row-major order, for `N` filters at once: `G` of the vertical algorithm `V` and of
/// the horizontal one `H`.
#[inline(always)]
pub fn weights_2d<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
    const N: usize,
>(
    filters: &[[f64; N]],
    out: &mut [[[f64; N]; AH]; AV],
) {
    let (rows, taps) = (taps::<V, AV, MV>(), taps::<H, AH, MH>());
    let mut columns = [[[0.0; N]; MAX_TAPS]; AV];
    let mut line = [0.0; MAX_TAPS];
    for x in 0..taps {
        for n in 0..N {
            for y in 0..rows {
                line[y] = filters[y * taps + x][n];
            }
            for (y, value) in V::weights(line).into_iter().enumerate() {
                columns[y][x][n] = value;
            }
        }
    }
    let mut line = [0.0; MAX_TAPS];
    for (row, out) in columns.iter().zip(out) {
        for n in 0..N {
            for x in 0..taps {
                line[x] = row[x][n];
            }
            for (x, value) in H::weights(line).into_iter().enumerate() {
                out[x][n] = value;
            }
        }
    }
}

/// [`Algorithm::input`] of a run that may be short.
#[inline(always)]
fn input_run<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    s: S,
    d: [S::F32; A],
    short: bool,
) -> [S::F32; A] {
    if T::SHORT > 0 && short { T::short_input(s, d) } else { T::input(s, d) }
}

/// [`Algorithm::output`] of a run that may be short.
#[inline(always)]
pub fn output_run<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    s: S,
    m: [S::F32; A],
    short: bool,
) -> [S::F32; M] {
    if T::SHORT > 0 && short { T::short_output(s, m) } else { T::output(s, m) }
}

/// `Bᵀ d B` of one vector of channels, for a tile that may be `short` vertically and horizontally:
/// the first `lanes` floats at each pixel's address plus `offset`. The values are stored to planes
/// at `out`. The pixels `ahead` floats after these that belong to the tile on the right but not to
/// this one are prefetched.
///
/// # Safety
/// The pixels are valid for reading these floats, `out` for writing a vector in each plane.
#[inline(always)]
pub unsafe fn input_2d<
    S: Simd,
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
>(
    s: S,
    pixels: &[[*const f32; AH]; AV],
    short: [bool; 2],
    (offset, lanes): (usize, usize),
    ahead: usize,
    (out, plane): (*mut f32, usize),
) {
    // 36 vectors exceed the registers: the columns' transforms are kept in memory.
    let mut columns = [[s.zero(); AH]; AV];
    for x in 0..AH {
        let mut d = [s.zero(); AV];
        for y in 0..AV {
            // SAFETY: the caller's contract.
            unsafe {
                let at = pixels[y][x].add(offset);
                if x >= AH - MH * H::STRIDE {
                    s.prefetch_near(at.wrapping_add(ahead));
                }
                d[y] = if lanes == S::LANES { s.load(at) } else { s.load_partial(at, lanes) };
            }
        }
        let t = input_run::<S, V, AV, MV>(s, d, short[0]);
        for y in 0..AV {
            columns[y][x] = t[y];
        }
    }
    for (y, row) in columns.into_iter().enumerate() {
        for (x, value) in input_run::<S, H, AH, MH>(s, row, short[1]).into_iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe { s.store(out.add((y * AH + x) * plane), value) };
        }
    }
}

/// `Aᵀ m` of one vector of channels: the vertical algorithm on the products' columns. The
/// horizontal [`output_run`] of each row then gives `Aᵀ m A`.
///
/// # Safety
/// `products` is valid for reading a vector in each plane.
#[inline(always)]
pub unsafe fn output_columns<
    S: Simd,
    V: Algorithm<AV, MV>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
>(
    s: S,
    (products, plane): (*const f32, usize),
    short: bool,
) -> [[S::F32; AH]; MV] {
    let mut columns = [[s.zero(); AH]; MV];
    for x in 0..AH {
        let mut m = [s.zero(); AV];
        for (y, m) in m.iter_mut().enumerate() {
            // SAFETY: the caller's contract.
            *m = unsafe { s.load(products.add((y * AH + x) * plane)) };
        }
        for (row, value) in columns.iter_mut().zip(output_run::<S, V, AV, MV>(s, m, short)) {
            row[x] = value;
        }
    }
    columns
}
