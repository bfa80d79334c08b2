//! The source of a weight file's bytes: a file that is read by position, or memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Bytes with a name for messages. Files are read, never memory-mapped: if a mapped file shrinks,
/// the process is killed.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    backing: Backing,
    len: u64,
}

#[derive(Debug)]
enum Backing {
    File(File),
    Memory(Vec<u8>),
}

impl Source {
    /// Opens `path`; if it is not a regular file (a pipe), it is read into memory.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let io = |source| Error::Io { path: name.clone(), source };
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(io::Error::from_raw_os_error(libc::EISDIR)));
        }
        if metadata.is_file() {
            return Ok(Self { name, backing: Backing::File(file), len: metadata.len() });
        }
        let mut data = Vec::new();
        file.read_to_end(&mut data).map_err(io)?;
        Ok(Self::memory(name, data))
    }

    pub(super) fn memory(name: String, data: Vec<u8>) -> Self {
        let len = data.len() as u64;
        Self { name, backing: Backing::Memory(data), len }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buf` from `offset`, or returns an error.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.try_read_at(offset, buf).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                self.damaged(format!("byte {offset}"), format!("{} bytes are missing", buf.len()))
            } else {
                Error::Io { path: self.name.clone(), source }
            }
        })
    }

    fn try_read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match &self.backing {
            Backing::File(file) => read_exact_at(file, buf, offset),
            Backing::Memory(data) => {
                let part = usize::try_from(offset)
                    .ok()
                    .and_then(|start| data.get(start..start.checked_add(buf.len())?))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                buf.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// Up to `n` bytes from the start.
    pub(super) fn head(&self, n: usize) -> Result<Vec<u8>> {
        let mut head = vec![0; n.min(usize::try_from(self.len).unwrap_or(n))];
        self.read_at(0, &mut head)?;
        Ok(head)
    }

    pub(super) fn damaged(&self, place: impl Into<String>, what: impl Into<String>) -> Error {
        Error::DamagedFile { path: self.name.clone(), place: place.into(), what: what.into() }
    }

    pub(super) fn limit(&self, what: impl Into<String>, found: impl ToString, limit: impl ToString) -> Error {
        Error::FileLimit {
            path: self.name.clone(),
            what: what.into(),
            found: found.to_string(),
            limit: limit.to_string(),
        }
    }

    pub(super) fn unsupported(&self, what: impl Into<String>, advice: &'static str) -> Error {
        Error::UnsupportedFile { path: self.name.clone(), what: what.into(), advice }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A position in a shared [`Source`], for readers that want `Read + Seek`.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    source: Arc<Source>,
    position: u64,
}

impl Cursor {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, position: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len.saturating_sub(self.position);
        let n = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.source.try_read_at(self.position, &mut buf[..n])?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.source.len.checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
