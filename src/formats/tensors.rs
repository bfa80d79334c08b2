//! Converts storages to tensors, each of which is a row-major block of bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::records::buffer;
use super::source::Source;
use super::value::{Dtype, StorageRef, TensorSpec};
use crate::error::Result;
use crate::tensor::AlignedBuf;

/// A tensor whose elements are row-major and little-endian in one of the buffers of [`Tensors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Element type. bfloat16 has been widened to float32, which represents all its values.
    pub dtype: Dtype,
    /// The element type in the file.
    pub stored: Dtype,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The index of the buffer.
    pub buffer: usize,
    /// The range of bytes in the buffer.
    pub range: Range<usize>,
}

/// Tensors that have been read. Tensors that share a storage share a buffer.
#[derive(Debug, Default)]
pub struct Tensors {
    /// In the order in which they were requested.
    pub tensors: Vec<Tensor>,
    /// Their bytes.
    pub buffers: Vec<AlignedBuf<u8>>,
}

impl Tensors {
    /// The bytes of the tensor with this index.
    pub fn bytes(&self, index: usize) -> &[u8] {
        let tensor = &self.tensors[index];
        &self.buffers[tensor.buffer][tensor.range.clone()]
    }
}

/// A tensor to read, with its name for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) spec: &'a TensorSpec,
}

/// With a stride of zero, the elements of a small tensor may be repeated to this many bytes.
const MAX_COPIED: u64 = 64 << 20;

/// The tensors may take this many times the size of the storages that are read. A view copies what
/// it shares, and bfloat16 doubles in size.
const MAX_COPIES: u64 = 4;

/// The layout of a tensor in its storage.
struct Layout {
    /// Bytes of the storage from the first to the last element.
    span: Range<usize>,
    elements: usize,
    /// Row-major without gaps.
    row_major: bool,
    /// The same, and the element type needs no conversion.
    as_is: bool,
}

/// What to read from each storage.
pub(super) struct Plan<'a> {
    wanted: &'a [Wanted<'a>],
    layouts: Vec<Layout>,
    /// Indices of tensors by storage.
    groups: BTreeMap<u64, Vec<usize>>,
}

/// Converts a location to a key of [`Plan::groups`].
fn group(storage: StorageRef) -> u64 {
    match storage {
        StorageRef::Record(index) => u64::from(index),
        StorageRef::Inline(id) => u64::from(id.0) | 1 << 32,
    }
}

impl<'a> Plan<'a> {
    /// Checks every tensor against its storage, whose size `bytes_of` returns.
    pub(super) fn new(
        source: &Source,
        wanted: &'a [Wanted<'a>],
        bytes_of: impl Fn(StorageRef) -> u64,
    ) -> Result<Self> {
        let mut groups = BTreeMap::<u64, Vec<usize>>::new();
        let mut layouts = Vec::with_capacity(wanted.len());
        let mut copied = 0u64;
        let mut available = 0u64;
        for (i, Wanted { name, spec }) in wanted.iter().enumerate() {
            let bytes = bytes_of(spec.storage);
            let layout = layout(source, name, spec, bytes)?;
            if !layout.as_is {
                copied =
                    copied.saturating_add((layout.elements as u64).saturating_mul(spec.dtype.size() as u64));
            }
            let members = groups.entry(group(spec.storage)).or_default();
            if members.is_empty() {
                available = available.saturating_add(bytes);
            }
            members.push(i);
            layouts.push(layout);
        }
        let most = available.saturating_mul(MAX_COPIES).max(MAX_COPIED);
        if copied > most {
            return Err(source.limit("bytes that views of tensors repeat", copied, most));
        }
        Ok(Self { wanted, layouts, groups })
    }

    /// The storages to read.
    pub(super) fn storages(&self) -> impl Iterator<Item = StorageRef> {
        self.groups.values().map(|members| self.wanted[members[0]].spec.storage)
    }

    /// Converts each storage that `read` returns to its tensors. Only one storage is held at a time
    /// besides the results.
    pub(super) fn run(&self, mut read: impl FnMut(StorageRef) -> Result<AlignedBuf<u8>>) -> Result<Tensors> {
        let mut found: Vec<Option<Tensor>> = vec![None; self.wanted.len()];
        let mut buffers = Vec::new();
        for members in self.groups.values() {
            let storage = read(self.wanted[members[0]].spec.storage)?;
            let (shared, copies): (Vec<usize>, Vec<usize>) = members
                .iter()
                .partition(|&&i| self.layouts[i].as_is && is_plain(self.wanted[i].spec, &storage));
            for i in copies {
                let spec = self.wanted[i].spec;
                let data = copy(spec, &self.layouts[i], &storage)?;
                found[i] = Some(tensor(spec, buffers.len(), 0..data.len()));
                buffers.push(data);
            }
            for &i in &shared {
                let range = self.layouts[i].span.clone();
                found[i] = Some(tensor(self.wanted[i].spec, buffers.len(), range));
            }
            if !shared.is_empty() {
                buffers.push(storage);
            }
        }
        // Every index is in exactly one group.
        Ok(Tensors { tensors: found.into_iter().flatten().collect(), buffers })
    }
}

fn tensor(spec: &TensorSpec, buffer: usize, range: Range<usize>) -> Tensor {
    let dtype = if spec.dtype == Dtype::BF16 { Dtype::F32 } else { spec.dtype };
    Tensor { dtype, stored: spec.dtype, shape: spec.shape.clone(), buffer, range }
}

/// Whether the bytes can be used unchanged: every bool must be a byte of 0 or 1.
fn is_plain(spec: &TensorSpec, storage: &[u8]) -> bool {
    spec.dtype != Dtype::Bool || storage.iter().all(|&byte| byte < 2)
}

fn layout(source: &Source, name: &str, spec: &TensorSpec, bytes: u64) -> Result<Layout> {
    let damaged = |what: String| source.damaged(format!("tensor {name:?}"), what);
    if let Dtype::Other { name: dtype, .. } = spec.dtype {
        return Err(source.unsupported(
            format!("tensor {name:?} of type {dtype}"),
            "rvision computes with real numbers: save it as float32",
        ));
    }
    let size = spec.dtype.size();
    // A zero size must not hide an overflow that numpy would reject later.
    let addressable = spec.shape.iter().try_fold(size, |n, &d| n.checked_mul(d.max(1)));
    if addressable.is_none_or(|n| isize::try_from(n).is_err()) || spec.shape.len() != spec.strides.len() {
        return Err(damaged(format!("its shape {:?} is larger than any memory", spec.shape)));
    }
    let elements: usize = spec.shape.iter().product();
    if elements == 0 {
        return Ok(Layout { span: 0..0, elements, row_major: true, as_is: true });
    }
    let last = spec
        .shape
        .iter()
        .zip(&spec.strides)
        .try_fold(spec.offset, |at, (&d, &stride)| at.checked_add((d - 1).checked_mul(stride)?));
    let end = last.and_then(|last| last.checked_add(1)).and_then(|n| n.checked_mul(size));
    let Some(end) = end.filter(|&end| end as u64 <= bytes) else {
        return Err(damaged(format!(
            "shape {:?}, strides {:?} and offset {} reach past its storage of {} elements",
            spec.shape,
            spec.strides,
            spec.offset,
            bytes / size as u64
        )));
    };
    let mut step = 1;
    let row_major = spec.shape.iter().zip(&spec.strides).rev().all(|(&d, &stride)| {
        let fits = d == 1 || stride == step;
        step *= d;
        fits
    });
    let as_is = row_major && spec.dtype != Dtype::BF16;
    Ok(Layout { span: spec.offset * size..end, elements, row_major, as_is })
}

/// The elements in row-major order, converted to a type that numpy has.
fn copy(spec: &TensorSpec, layout: &Layout, storage: &[u8]) -> Result<AlignedBuf<u8>> {
    let gathered = match (layout.row_major, spec.dtype.size()) {
        (true, _) => None,
        (false, 1) => Some(gather::<1>(spec, layout.elements, storage)?),
        (false, 2) => Some(gather::<2>(spec, layout.elements, storage)?),
        (false, 4) => Some(gather::<4>(spec, layout.elements, storage)?),
        (false, _) => Some(gather::<8>(spec, layout.elements, storage)?),
    };
    let raw = gathered.as_deref().unwrap_or_else(|| &storage[layout.span.clone()]);
    match spec.dtype {
        Dtype::BF16 => widen(raw),
        Dtype::Bool => {
            let mut bools = buffer(raw.len() as u64)?;
            bools.iter_mut().zip(raw).for_each(|(to, &byte)| *to = u8::from(byte != 0));
            Ok(bools)
        }
        _ => match gathered {
            Some(gathered) => Ok(gathered),
            None => AlignedBuf::from_slice(raw, "weights"),
        },
    }
}

/// bfloat16 to float32: a bfloat16 value is the upper half of a float32.
fn widen(raw: &[u8]) -> Result<AlignedBuf<u8>> {
    let mut out = buffer(raw.len() as u64 * 2)?;
    let (wide, _) = out.as_chunks_mut::<4>();
    let (narrow, _) = raw.as_chunks::<2>();
    for (wide, &[low, high]) in wide.iter_mut().zip(narrow) {
        *wide = [0, 0, low, high];
    }
    Ok(out)
}

/// Gathers elements of `SIZE` bytes by their strides.
fn gather<const SIZE: usize>(spec: &TensorSpec, elements: usize, storage: &[u8]) -> Result<AlignedBuf<u8>> {
    let (items, _) = storage.as_chunks::<SIZE>();
    let mut out = buffer(elements as u64 * SIZE as u64)?;
    let (&inner, outer) = spec.shape.split_last().unwrap_or((&1, &[]));
    let (&inner_stride, outer_strides) = spec.strides.split_last().unwrap_or((&1, &[]));
    let mut index = vec![0; outer.len()];
    let mut at = spec.offset;
    let (all, _) = out.as_chunks_mut::<SIZE>();
    for row in all.chunks_exact_mut(inner.max(1)) {
        for (i, item) in row.iter_mut().enumerate() {
            *item = items[at + i * inner_stride];
        }
        for d in (0..outer.len()).rev() {
            index[d] += 1;
            at += outer_strides[d];
            if index[d] < outer[d] {
                break;
            }
            at -= outer[d] * outer_strides[d];
            index[d] = 0;
        }
    }
    Ok(out)
}
