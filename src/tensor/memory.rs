//! Memory of buffers: allocations of their own, or slabs that several share, in huge pages where
//! these pay off.

#[cfg(not(target_os = "linux"))]
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

/// A cache line, and the width of the widest vector.
const ALIGNMENT: usize = 64;
/// A huge page. Memory in huge pages misses the TLB less often: this saves 3 to 10 % of a network's
/// time for weights and large maps, and another 2 to 4 % for the weights of small layers, which
/// share slabs for this reason.
const HUGE_PAGE: usize = 2 << 20;
/// Bytes before a buffer that is not in huge pages. Mappings start at page boundaries, so without
/// it the same elements of two buffers would have the same low address bits (4K aliasing).
const STAGGER: usize = 5 * ALIGNMENT;
/// Allocations from this size on are mappings of their own.
#[cfg(target_os = "linux")]
const MAPPED: usize = 128 << 10;
/// Bytes of a slab. The system allocates only pages that are written.
const SLAB: usize = 32 << 20;
/// Larger buffers get an allocation of their own.
const MOST_BESIDE: usize = SLAB / 4;

/// Zeroed memory from the system. It is returned when the last buffer in it is dropped.
pub(super) struct Memory {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: only the buffers access the memory itself, each its own part.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// An allocation of `bytes` zeros, and its start.
    pub(super) fn alone(bytes: usize) -> Option<(NonNull<u8>, Arc<Self>)> {
        let unit = if bytes >= HUGE_PAGE { HUGE_PAGE } else { ALIGNMENT };
        let stagger = if bytes >= HUGE_PAGE { 0 } else { STAGGER };
        let memory = Arc::new(Self::zeroed(bytes.checked_add(unit + stagger)?)?);
        // SAFETY: the offset is below `unit`, so `bytes` bytes remain after it and the stagger.
        let start = unsafe { memory.base.add(memory.base.align_offset(unit) + stagger) };
        #[cfg(target_os = "linux")]
        if bytes >= HUGE_PAGE {
            // SAFETY: the range was just allocated and is ours; the advice changes no content.
            unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        Some((start, memory))
    }

    /// The same, in the slab of this thread's last call.
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

/// Large allocations are mappings of their own. The C library would place those below 32 MiB on its
/// heap once one of that size had been freed. There, small neighbours that live longer keep the
/// pages.
#[cfg(target_os = "linux")]
impl Memory {
    fn zeroed(bytes: usize) -> Option<Self> {
        if bytes < MAPPED {
            // SAFETY: calloc has no preconditions.
            let base = NonNull::new(unsafe { libc::calloc(bytes.max(1), 1) })?;
            return Some(Self { base: base.cast(), bytes });
        }
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping does not overlap memory that is in use.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        Some(Self { base: NonNull::new(base.cast())?, bytes })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed`; the size says by which call.
        unsafe {
            if self.bytes < MAPPED {
                libc::free(self.base.as_ptr().cast());
            } else {
                libc::munmap(self.base.as_ptr().cast(), self.bytes);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Memory {
    fn zeroed(bytes: usize) -> Option<Self> {
        // The alignment is not requested through the layout: the standard library would then write
        // the zeros itself.
        let layout = Layout::from_size_align(bytes.max(1), 1).ok()?;
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { base, bytes: layout.size() })
    }
}

#[cfg(not(target_os = "linux"))]
impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this size and alignment.
        unsafe { dealloc(self.base.as_ptr(), Layout::from_size_align_unchecked(self.bytes, 1)) }
    }
}

/// Return the huge pages that are wholly within `len` bytes from `start` to the system. The
/// contents of all of these bytes are unspecified afterwards: they keep their values or become
/// zero.
///
/// # Safety
/// The bytes are part of a buffer's memory, and nobody else accesses them.
pub(super) unsafe fn discard(start: NonNull<u8>, len: usize) {
    #[cfg(target_os = "linux")]
    {
        // Whole huge pages, so that none is split.
        let skipped = start.align_offset(HUGE_PAGE);
        let whole = len.saturating_sub(skipped) / HUGE_PAGE * HUGE_PAGE;
        if whole > 0 {
            // SAFETY: anonymous private memory of at least this length, which is ours by contract.
            // The pages read as zeros afterwards.
            unsafe { libc::madvise(start.add(skipped).as_ptr().cast(), whole, libc::MADV_DONTNEED) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, len);
}

/// A slab with free space. It does not keep its memory alive: the memory is freed with the last
/// buffer in it.
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
        // SAFETY: the slab had at least `bytes` bytes left.
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
        // The first buffers fit into the slab, the others need a new one.
        let rest: Vec<_> = (0..5).map(|_| Memory::beside(MOST_BESIDE).unwrap().1).collect();
        assert!(Arc::ptr_eq(&memory, &rest[2]) && !Arc::ptr_eq(&memory, &rest[3]));
        assert!(Arc::ptr_eq(&rest[3], &rest[4]));
        let watch = Arc::downgrade(&memory);
        drop((memory, same, rest));
        assert!(watch.upgrade().is_none());
    }
}
