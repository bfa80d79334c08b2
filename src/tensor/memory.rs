//! Where buffers lie: alone, or side by side, and in huge pages where they pay.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

/// One cache line, and the width of the widest vector.
const ALIGNMENT: usize = 64;
/// A huge page. Memory in them misses the TLB less: 3 to 10 % of a network's time for weights and large
/// maps, and again 2 to 4 % for the weights of small layers, which are side by side for that.
const HUGE_PAGE: usize = 2 << 20;
/// Bytes for buffers side by side. The system hands out what is written only.
const SLAB: usize = 32 << 20;
/// Larger buffers lie alone.
const MOST_BESIDE: usize = SLAB / 4;

/// Zeroed memory of the system's, given back when the last buffer in it goes.
pub(super) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory itself is touched by the buffers only, each its own part.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// So many zeros, and where they begin.
    pub(super) fn alone(bytes: usize) -> Option<(NonNull<u8>, Arc<Self>)> {
        let unit = if bytes >= HUGE_PAGE { HUGE_PAGE } else { ALIGNMENT };
        // Not by the layout's alignment: the standard library then writes the zeros itself, which takes
        // time and memory, and pages that have been written before the advice stay small.
        let layout = Layout::from_size_align(bytes.checked_add(unit)?, 1).ok()?;
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let memory = Arc::new(Self { base, layout });
        // SAFETY: the offset is below `unit`, so that `bytes` are left behind it.
        let start = unsafe { base.add(base.align_offset(unit)) };
        #[cfg(target_os = "linux")]
        if bytes >= HUGE_PAGE {
            // SAFETY: the range was just allocated and is ours; the advice changes no content.
            unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        Some((start, memory))
    }

    /// The same, side by side with what this thread last asked for in this way.
    pub(super) fn beside(bytes: usize) -> Option<(NonNull<u8>, Arc<Self>)> {
        if !cfg!(target_os = "linux") || bytes > MOST_BESIDE {
            return Self::alone(bytes);
        }
        OPEN.with_borrow_mut(|open| {
            if let Some(found) = open.take(bytes) {
                return Some(found);
            }
            let (next, memory) = Self::alone(SLAB)?;
            *open = Slab { memory: Arc::downgrade(&memory), next, left: SLAB };
            open.take(bytes)
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `alone`.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

/// Memory that is being divided. It holds nothing alive: when the buffers in it have gone, so has the memory.
struct Slab {
    memory: Weak<Memory>,
    next: NonNull<u8>,
    left: usize,
}

impl Slab {
    fn take(&mut self, bytes: usize) -> Option<(NonNull<u8>, Arc<Memory>)> {
        let memory = self.memory.upgrade()?;
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        self.left = self.left.checked_sub(bytes)?;
        let start = self.next;
        // SAFETY: so much was left of the memory.
        self.next = unsafe { start.add(bytes) };
        Some((start, memory))
    }
}

thread_local! {
    static OPEN: RefCell<Slab> =
        const { RefCell::new(Slab { memory: Weak::new(), next: NonNull::dangling(), left: 0 }) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn small_ones_lie_side_by_side_and_nothing_is_kept() {
        let (first, memory) = Memory::beside(100).unwrap();
        let (second, same) = Memory::beside(1 << 20).unwrap();
        assert_eq!(second.as_ptr() as usize - first.as_ptr() as usize, 128);
        assert!(Arc::ptr_eq(&memory, &same));
        let (large, other) = Memory::beside(MOST_BESIDE + 1).unwrap();
        assert!(!Arc::ptr_eq(&memory, &other));
        assert_eq!(large.as_ptr() as usize % HUGE_PAGE, 0);
        // As many as fit, then others.
        let rest: Vec<_> = (0..5).map(|_| Memory::beside(MOST_BESIDE).unwrap().1).collect();
        assert!(Arc::ptr_eq(&memory, &rest[2]) && !Arc::ptr_eq(&memory, &rest[3]));
        assert!(Arc::ptr_eq(&rest[3], &rest[4]));
        let watch = Arc::downgrade(&memory);
        drop((memory, same, rest));
        assert!(watch.upgrade().is_none());
    }
}
