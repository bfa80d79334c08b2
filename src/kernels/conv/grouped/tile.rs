//! The register tile of grouped convolutions.

use std::mem::MaybeUninit;

use crate::kernels::conv::finish::Finish;
use crate::simd::{Simd, Vectorized};

/// Pixels of the largest tile: the widths of maps are often multiples of it (56, 28, 14, 7).
pub(super) const MOST_PIXELS: usize = 7;
/// Pixels of the tile for the rest of a row.
pub(super) const FEW_PIXELS: usize = 4;
/// The largest number of input pixels of a line: those of a tile at stride 2.
pub(super) const MOST_INPUTS: usize = (MOST_PIXELS - 1) * 2 + 3;

/// The destination of a tile's pixels, which are adjacent in a row.
#[derive(Clone, Copy)]
pub(super) struct Outputs {
    /// Number of pixels.
    pub(super) count: usize,
    /// The first pixel's channel 0.
    pub(super) at: *mut f32,
    /// Floats to the next pixel.
    pub(super) step: usize,
    /// The residual, and floats from one pixel to the next.
    pub(super) residual: Option<(*const f32, usize)>,
}

/// `P` output pixels by one or two vectors of output channels. Lines have `TAPS` taps; output
/// pixels are `STRIDE` input pixels apart.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a, const TAPS: usize, const STRIDE: usize, const P: usize> {
    /// Pointers to channel 0 of the pixels of each line, `(P - 1) * STRIDE + TAPS` per line.
    pub(super) table: *const *const f32,
    /// Number of lines.
    pub(super) lines: usize,
    /// Lines per accumulation chain.
    pub(super) chain: usize,
    /// Channels of a group.
    pub(super) width: usize,
    /// `[lines][width][TAPS][vectors][LANES]`.
    pub(super) weights: *const f32,
    /// The first input channel.
    pub(super) inputs: usize,
    /// The first output channel.
    pub(super) channel: usize,
    /// Output channels from there that the tile may write.
    pub(super) channels: usize,
    pub(super) finish: &'a Finish,
    pub(super) outputs: &'a Outputs,
}

impl<const TAPS: usize, const STRIDE: usize, const P: usize> Tile<'_, TAPS, STRIDE, P> {
    /// Computes and stores the tile, with `V` vectors of groups of `SHARED` channels that share a
    /// vector (4 or 8) or, if `SHARED` is 1, of one group.
    ///
    /// # Safety
    /// The table, the weights and the outputs must be valid as the fields say.
    #[inline(always)]
    pub(super) unsafe fn call<S: Simd, const SHARED: usize, const V: usize>(self, s: S) {
        // A separate function keeps the accumulators in registers.
        s.call(Shell::<TAPS, STRIDE, P, SHARED, V>(self));
    }
}

struct Shell<'a, const TAPS: usize, const STRIDE: usize, const P: usize, const SHARED: usize, const V: usize>(
    Tile<'a, TAPS, STRIDE, P>,
);

impl<const TAPS: usize, const STRIDE: usize, const P: usize, const SHARED: usize, const V: usize> Vectorized
    for Shell<'_, TAPS, STRIDE, P, SHARED, V>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: the contract of `Tile::call`.
        unsafe {
            let sums = self.sums(s);
            self.store(s, &sums);
        }
    }
}

impl<const TAPS: usize, const STRIDE: usize, const P: usize, const SHARED: usize, const V: usize>
    Shell<'_, TAPS, STRIDE, P, SHARED, V>
{
    /// Input pixels of a line.
    const INPUTS: usize = (P - 1) * STRIDE + TAPS;

    /// The sums over all lines, in chains.
    ///
    /// # Safety
    /// As [`Tile::call`].
    #[inline(always)]
    unsafe fn sums<S: Simd>(&self, s: S) -> [[S::F32; V]; P] {
        let Tile { table, lines, chain, width, weights, inputs, .. } = self.0;
        // As in the implicit product: most sums are one chain.
        let mut total = MaybeUninit::<[[S::F32; V]; P]>::uninit();
        let mut line = 0;
        loop {
            let first = line == 0;
            let end = lines.min(line + chain);
            let mut sums = [[s.zero(); V]; P];
            while line < end {
                // SAFETY: the caller's contract.
                unsafe {
                    let weights = weights.add(line * width * TAPS * V * S::LANES);
                    let mut pixels = [std::ptr::null(); MOST_INPUTS];
                    for (i, pixel) in pixels[..Self::INPUTS].iter_mut().enumerate() {
                        *pixel = (*table.add(line * Self::INPUTS + i)).add(inputs);
                    }
                    match SHARED {
                        4 => {
                            Self::input::<S, Quads<0>>(s, &pixels, 0, weights, &mut sums);
                            Self::input::<S, Quads<1>>(s, &pixels, 1, weights, &mut sums);
                            Self::input::<S, Quads<2>>(s, &pixels, 2, weights, &mut sums);
                            Self::input::<S, Quads<3>>(s, &pixels, 3, weights, &mut sums);
                        }
                        8 => {
                            for i in 0..8 {
                                Self::input::<S, Octets>(s, &pixels, i, weights, &mut sums);
                            }
                        }
                        _ => {
                            for i in 0..width {
                                Self::input::<S, Whole>(s, &pixels, i, weights, &mut sums);
                            }
                        }
                    }
                }
                line += 1;
            }
            if !first {
                // SAFETY: written when the first chain ended.
                let total = unsafe { total.assume_init_ref() };
                for (sums, total) in sums.iter_mut().zip(total) {
                    for (sum, &total) in sums.iter_mut().zip(total) {
                        *sum = s.add(total, *sum);
                    }
                }
            }
            if line == lines {
                return sums;
            }
            total.write(sums);
        }
    }

    /// Accumulates the products of a group's input channel `i` in one line: each pixel is broadcast
    /// once, and the last `TAPS` of them are kept for the taps of the current output pixel.
    ///
    /// Written out pixel by pixel: the compiler did not unroll loops over them, which kept the sums
    /// in memory, at a third of the speed.
    ///
    /// # Safety
    /// As [`Tile::call`], for the line's pixels and weights.
    #[inline(always)]
    unsafe fn input<S: Simd, X: Spread>(
        s: S,
        pixels: &[*const f32; MOST_INPUTS],
        i: usize,
        weights: *const f32,
        sums: &mut [[S::F32; V]; P],
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            let weights = weights.add(i * TAPS * V * S::LANES);
            let mut w = [[s.zero(); V]; TAPS];
            for (t, w) in w.iter_mut().enumerate() {
                for (v, w) in w.iter_mut().enumerate() {
                    *w = s.load(weights.add((t * V + v) * S::LANES));
                }
            }
            let mut seen = [s.zero(); TAPS];
            Self::pixel::<S, X, 0>(s, pixels, i, &w, &mut seen, &mut sums[0]);
            Self::pixel::<S, X, 1>(s, pixels, i, &w, &mut seen, &mut sums[1]);
            Self::pixel::<S, X, 2>(s, pixels, i, &w, &mut seen, &mut sums[2]);
            Self::pixel::<S, X, 3>(s, pixels, i, &w, &mut seen, &mut sums[3]);
            if P == MOST_PIXELS {
                Self::pixel::<S, X, 4>(s, pixels, i, &w, &mut seen, &mut sums[4]);
                Self::pixel::<S, X, 5>(s, pixels, i, &w, &mut seen, &mut sums[5]);
                Self::pixel::<S, X, 6>(s, pixels, i, &w, &mut seen, &mut sums[6]);
            }
        }
    }

    /// Accumulates the products of output pixel `AT`. `seen` holds the broadcast input pixels of
    /// the previous output pixel, and is updated to this one's.
    ///
    /// # Safety
    /// As [`Self::input`].
    #[inline(always)]
    unsafe fn pixel<S: Simd, X: Spread, const AT: usize>(
        s: S,
        pixels: &[*const f32; MOST_INPUTS],
        i: usize,
        weights: &[[S::F32; V]; TAPS],
        seen: &mut [S::F32; TAPS],
        sums: &mut [S::F32; V],
    ) {
        for t in 0..TAPS {
            let known = AT > 0 && t + STRIDE < TAPS;
            seen[t] = if known {
                seen[t + STRIDE]
            } else {
                // SAFETY: the caller's contract.
                unsafe { X::spread(s, pixels[AT * STRIDE + t], i) }
            };
            for v in 0..V {
                sums[v] = s.fma(seen[t], weights[t][v], sums[v]);
            }
        }
    }

    /// Applies the epilogue and stores.
    ///
    /// # Safety
    /// As [`Tile::call`].
    #[inline(always)]
    unsafe fn store<S: Simd>(&self, s: S, sums: &[[S::F32; V]; P]) {
        let Tile { channel, channels, finish, .. } = self.0;
        #[expect(clippy::needless_range_loop, reason = "it goes across the pixels")]
        for v in 0..V {
            let c = channel + v * S::LANES;
            let lanes = (channels - v * S::LANES).min(S::LANES);
            let affine = finish.vectors(s, c);
            // SAFETY: the caller's contract.
            unsafe {
                self.store_pixel(s, 0, c, lanes, affine, sums[0][v]);
                self.store_pixel(s, 1, c, lanes, affine, sums[1][v]);
                self.store_pixel(s, 2, c, lanes, affine, sums[2][v]);
                self.store_pixel(s, 3, c, lanes, affine, sums[3][v]);
                if P == MOST_PIXELS {
                    self.store_pixel(s, 4, c, lanes, affine, sums[4][v]);
                    self.store_pixel(s, 5, c, lanes, affine, sums[5][v]);
                    self.store_pixel(s, 6, c, lanes, affine, sums[6][v]);
                }
            }
        }
    }

    /// Stores the first `lanes` channels from `c` of the output pixel `p`, if it exists.
    ///
    /// # Safety
    /// As [`Tile::call`].
    #[inline(always)]
    unsafe fn store_pixel<S: Simd>(
        &self,
        s: S,
        p: usize,
        c: usize,
        lanes: usize,
        [scale, shift]: [S::F32; 2],
        sum: S::F32,
    ) {
        let Tile { finish, outputs, .. } = self.0;
        if p >= outputs.count {
            return;
        }
        let whole = lanes == S::LANES;
        // SAFETY: the caller's contract.
        unsafe {
            let mut value = s.fma(sum, scale, shift);
            if let Some((from, step)) = outputs.residual {
                let at = from.add(p * step + c);
                value = s.add(value, if whole { s.load(at) } else { s.load_partial(at, lanes) });
            }
            let value = finish.bounded(s, value);
            let at = outputs.at.add(p * outputs.step + c);
            if whole { s.store(at, value) } else { s.store_partial(at, value, lanes) }
        }
    }
}

/// How a group's input channel is broadcast to all lanes of the group's output channels.
trait Spread {
    /// Channel `i` of each group of the vector; `pixel` points to the first group's channels.
    ///
    /// # Safety
    /// The channels are valid for reading.
    unsafe fn spread<S: Simd>(s: S, pixel: *const f32, i: usize) -> S::F32;
}

/// One group has the whole vector.
struct Whole;

impl Spread for Whole {
    #[inline(always)]
    unsafe fn spread<S: Simd>(s: S, pixel: *const f32, i: usize) -> S::F32 {
        // SAFETY: the caller's contract.
        unsafe { s.broadcast(pixel.add(i)) }
    }
}

/// Groups of four, of which the `I`-th channel is broadcast.
struct Quads<const I: i32>;

impl<const I: i32> Spread for Quads<I> {
    #[inline(always)]
    unsafe fn spread<S: Simd>(s: S, pixel: *const f32, _: usize) -> S::F32 {
        // SAFETY: the caller's contract.
        s.broadcast_in_quads::<I>(unsafe { s.load(pixel) })
    }
}

/// Groups of eight.
struct Octets;

impl Spread for Octets {
    #[inline(always)]
    unsafe fn spread<S: Simd>(s: S, pixel: *const f32, i: usize) -> S::F32 {
        // SAFETY: the caller's contract.
        s.broadcast_in_octets(unsafe { s.load(pixel) }, i)
    }
}
