//! Blocks of bytes in a file: their positions, and reading them.

use super::source::Source;
use crate::error::Result;
use crate::tensor::AlignedBuf;

/// The position of a block in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// As it is.
    Stored {
        start: u64,
        len: u64,
        /// The checksum that a zip has for it.
        crc: Option<u32>,
    },
    /// Compressed, in a zip.
    Deflated { start: u64, stored: u64, len: u64, index: usize },
}

impl Location {
    /// Unpacked size.
    pub(super) fn len(self) -> u64 {
        match self {
            Self::Stored { len, .. } | Self::Deflated { len, .. } => len,
        }
    }

    /// The bytes that it occupies in the file: the first, and one past the last.
    pub(super) fn span(self) -> (u64, u64) {
        match self {
            Self::Stored { start, len, .. } => (start, start.saturating_add(len)),
            Self::Deflated { start, stored, .. } => (start, start.saturating_add(stored)),
        }
    }
}

/// The size that a compressed file may always unpack to.
const MAX_INFLATED: u64 = 64 << 20;

/// How many times its own size a compressed file may unpack to. torch does not compress at all, and
/// weights deflate by a tenth; only zeros shrink more.
const MAX_INFLATION: u64 = 16;

/// The size that all records of a file together may unpack to.
pub(super) fn inflate_limit(source: &Source) -> u64 {
    source.len().saturating_mul(MAX_INFLATION).max(MAX_INFLATED)
}

/// Data are read and checksummed in pieces that fit the second-level cache.
const PIECE: usize = 256 << 10;

/// A buffer of `len` zeros.
pub(super) fn buffer(len: u64) -> Result<AlignedBuf<u8>> {
    AlignedBuf::zeroed(usize::try_from(len).unwrap_or(usize::MAX), "weights")
}

/// Reads a block that is stored uncompressed.
pub(super) fn read_stored(
    source: &Source,
    name: &str,
    start: u64,
    len: u64,
    crc: Option<u32>,
) -> Result<AlignedBuf<u8>> {
    if start.checked_add(len).is_none_or(|end| end > source.len()) {
        return Err(source.damaged(format!("record {name}"), "it reaches past the end of the file"));
    }
    let mut data = buffer(len)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut from = start;
    for piece in data.chunks_mut(PIECE) {
        source.read_at(from, piece)?;
        from += piece.len() as u64;
        if crc.is_some() {
            hasher.update(piece);
        }
    }
    match crc {
        Some(expected) if hasher.finalize() != expected => {
            Err(source.damaged(format!("record {name}"), "its checksum does not fit its content"))
        }
        _ => Ok(data),
    }
}
