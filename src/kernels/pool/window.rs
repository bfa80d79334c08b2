//! One window's channels.

use crate::kernels::math::maximum;
use crate::simd::Simd;

/// One output pixel's window: taps and distances between them, vertically and horizontally.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) taps: [usize; 2],
    pub(super) steps: [usize; 2],
    pub(super) divisor: f32,
}

impl Window {
    #[inline(always)]
    pub(super) fn start<S: Simd, const IS_MAX: bool>(s: S) -> S::F32 {
        s.splat(if IS_MAX { f32::NEG_INFINITY } else { 0.0 })
    }

    #[inline(always)]
    pub(super) fn join<S: Simd, const IS_MAX: bool>(s: S, a: S::F32, x: S::F32) -> S::F32 {
        if IS_MAX { maximum(s, a, x) } else { s.add(a, x) }
    }

    /// Finishes a window's sum or maximum. A window without values gives 0 (an average) or negative
    /// infinity, as in torch.
    #[inline(always)]
    pub(super) fn finish<S: Simd, const IS_MAX: bool>(self, s: S, x: S::F32) -> S::F32 {
        if IS_MAX || self.taps[0] * self.taps[1] == 0 { x } else { s.div(x, s.splat(self.divisor)) }
    }

    /// Computes some channels.
    ///
    /// # Safety
    /// `from` must be valid for reading them at each tap, `to` for writing them.
    #[inline(always)]
    pub(super) unsafe fn pool_channels<S: Simd, const IS_MAX: bool>(
        self,
        s: S,
        from: *const f32,
        to: *mut f32,
        channels: usize,
    ) {
        let mut c = 0;
        // SAFETY: the caller's contract.
        unsafe {
            while c + 4 * S::LANES <= channels {
                self.pool::<S, IS_MAX, 4>(s, from.add(c), to.add(c));
                c += 4 * S::LANES;
            }
            while c + S::LANES <= channels {
                self.pool::<S, IS_MAX, 1>(s, from.add(c), to.add(c));
                c += S::LANES;
            }
            if c < channels {
                self.pool_partial::<S, IS_MAX>(s, from.add(c), to.add(c), channels - c);
            }
        }
    }

    /// Computes `V` vectors of channels.
    ///
    /// # Safety
    /// `from` must be valid for reading them at each tap, `to` for writing them.
    #[inline(always)]
    pub(super) unsafe fn pool<S: Simd, const IS_MAX: bool, const V: usize>(
        self,
        s: S,
        from: *const f32,
        to: *mut f32,
    ) {
        let mut total = [Self::start::<S, IS_MAX>(s); V];
        for y in 0..self.taps[0] {
            let mut row = [Self::start::<S, IS_MAX>(s); V];
            for x in 0..self.taps[1] {
                for (v, row) in row.iter_mut().enumerate() {
                    let at = y * self.steps[0] + x * self.steps[1] + v * S::LANES;
                    // SAFETY: the caller's contract.
                    *row = Self::join::<S, IS_MAX>(s, *row, unsafe { s.load(from.add(at)) });
                }
            }
            for (total, &row) in total.iter_mut().zip(&row) {
                *total = Self::join::<S, IS_MAX>(s, *total, row);
            }
        }
        for (v, &total) in total.iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe { s.store(to.add(v * S::LANES), self.finish::<S, IS_MAX>(s, total)) };
        }
    }

    /// Computes the last `n` channels.
    ///
    /// # Safety
    /// `from` must be valid for reading `n` floats at each tap, `to` for writing them.
    #[inline(always)]
    pub(super) unsafe fn pool_partial<S: Simd, const IS_MAX: bool>(
        self,
        s: S,
        from: *const f32,
        to: *mut f32,
        n: usize,
    ) {
        let mut total = Self::start::<S, IS_MAX>(s);
        for y in 0..self.taps[0] {
            let mut row = Self::start::<S, IS_MAX>(s);
            for x in 0..self.taps[1] {
                let at = y * self.steps[0] + x * self.steps[1];
                // SAFETY: the caller's contract.
                row = Self::join::<S, IS_MAX>(s, row, unsafe { s.load_partial(from.add(at), n) });
            }
            total = Self::join::<S, IS_MAX>(s, total, row);
        }
        // SAFETY: the caller's contract.
        unsafe { s.store_partial(to, self.finish::<S, IS_MAX>(s, total), n) };
    }
}
