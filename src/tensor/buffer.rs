//! Aligned slices of activations and packed weights.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::Arc;

use half::f16;

use super::memory::{Memory, discard};
use crate::error::{Error, Result};

/// An element type of buffers.
///
/// # Safety
/// All bits must be a valid value, and the type must not be larger than a cache line.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// torch's name of the type.
    const NAME: &'static str;
}

// SAFETY: four bytes, of which all are numbers or NaNs.
unsafe impl Element for f32 {
    const NAME: &'static str = "float32";
}

// SAFETY: two bytes, of which all are numbers or NaNs.
unsafe impl Element for f16 {
    const NAME: &'static str = "float16";
}

// SAFETY: one byte, any value.
unsafe impl Element for u8 {
    const NAME: &'static str = "uint8";
}

/// An owned, zero-initialised, 64-byte aligned slice.
pub struct AlignedBuf<T: Element = f32> {
    ptr: NonNull<T>,
    len: usize,
    /// The memory that contains it.
    memory: Arc<Memory>,
}

// SAFETY: AlignedBuf owns its slice as a Vec<T> does; there is no interior mutability.
unsafe impl<T: Element> Send for AlignedBuf<T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for AlignedBuf<T> {}

impl<T: Element> AlignedBuf<T> {
    /// `len` zeros. The system allocates the pages of a large buffer on first access.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], naming `what` the buffer is for.
    pub fn zeroed(len: usize, what: &'static str) -> Result<Self> {
        Self::on(len, what, Memory::alone)
    }

    /// The same for buffers that live as long as a network, such as its packed weights. Small ones
    /// are placed side by side in huge pages, in the order of allocation.
    ///
    /// # Errors
    /// As [`Self::zeroed`].
    pub fn resident(len: usize, what: &'static str) -> Result<Self> {
        Self::on(len, what, Memory::beside)
    }

    fn on(
        len: usize,
        what: &'static str,
        place: impl Fn(usize) -> Option<(NonNull<u8>, Arc<Memory>)>,
    ) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>());
        let (ptr, memory) = bytes
            .and_then(place)
            .ok_or_else(|| Error::OutOfMemory { bytes: len.saturating_mul(size_of::<T>()), what })?;
        Ok(Self { ptr: ptr.cast(), len, memory })
    }

    /// A copy of `data`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], naming `what` the buffer is for.
    pub fn from_slice(data: &[T], what: &'static str) -> Result<Self> {
        let mut buf = Self::zeroed(data.len(), what)?;
        buf.copy_from_slice(data);
        Ok(buf)
    }
}

impl<T: Element> AlignedBuf<T> {
    /// Return the memory of elements that are no longer read to the system, in whole huge pages.
    /// The elements have unspecified values afterwards.
    ///
    /// # Panics
    /// If the range is not in the buffer.
    pub fn discard(&mut self, range: Range<usize>) {
        let part = &mut self[range];
        let (bytes, start) = (size_of_val(part), NonNull::from(part).cast());
        // SAFETY: the elements are borrowed mutably, and all bits zero are a valid value.
        unsafe { discard(start, bytes) };
    }
}

impl AlignedBuf<u8> {
    /// The same memory as elements in the processor's byte order. A partial element at the end is
    /// left out.
    pub fn into_elements<T: Element>(self) -> AlignedBuf<T> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so that the memory is moved.
        let memory = unsafe { std::ptr::read(&raw const this.memory) };
        AlignedBuf { ptr: this.ptr.cast(), len: this.len / size_of::<T>(), memory }
    }
}

/// An empty vector with capacity for `len` elements: for tables whose length depends on the size
/// of a picture.
///
/// # Errors
/// [`Error::OutOfMemory`], naming `what` the elements are for.
pub fn reserved<T>(len: usize, what: &'static str) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    let bytes = len.saturating_mul(size_of::<T>());
    vector.try_reserve_exact(len).map_err(|_| Error::OutOfMemory { bytes, what })?;
    Ok(vector)
}

impl<T: Element> Deref for AlignedBuf<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: ptr is valid for len initialised elements for as long as self lives.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl<T: Element> DerefMut for AlignedBuf<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in deref, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl<T: Element> std::fmt::Debug for AlignedBuf<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuf({} {})", self.len, T::NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_zero() {
        fn check<T: Element + PartialEq>(zero: T) {
            for len in [0, 1, 1000, 1 << 20, 5 << 20] {
                for b in [AlignedBuf::<T>::zeroed(len, "test"), AlignedBuf::resident(len, "test")] {
                    let mut b = b.unwrap();
                    assert_eq!(b.as_ptr() as usize % 64, 0);
                    assert_eq!(b.len(), len);
                    assert!(b.iter_mut().all(|x| *x == zero));
                }
            }
        }
        check(0.0_f32);
        check(f16::ZERO);
    }

    #[test]
    fn room_is_an_error_too() {
        assert!(reserved::<u64>(7, "test").unwrap().capacity() >= 7);
        for len in [usize::MAX, usize::MAX / 8, 1 << 60] {
            assert!(matches!(reserved::<u64>(len, "test"), Err(Error::OutOfMemory { .. })));
        }
    }

    #[test]
    fn too_large_is_an_error() {
        for len in [usize::MAX / 2, usize::MAX / 8] {
            assert!(matches!(AlignedBuf::<f32>::zeroed(len, "test"), Err(Error::OutOfMemory { .. })));
            assert!(matches!(AlignedBuf::<f32>::resident(len, "test"), Err(Error::OutOfMemory { .. })));
        }
    }
}
