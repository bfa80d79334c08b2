//! The bytes of a pickle, read in blocks.

use crate::error::{Error, Result};
use crate::formats::source::Source;

/// The size of a block. It is small because a legacy file's pickles are in one file with its data.
const BLOCK: usize = 64 << 10;

/// The longest line (numbers, names and strings of protocol 0).
const MAX_LINE: usize = 16 << 20;

/// A forward reader over a part of a source.
pub(in crate::formats) struct Input<'a> {
    source: &'a Source,
    /// What messages call it: `archive/data.pkl`.
    label: &'a str,
    /// The end of `block` in the source.
    next: u64,
    block: Vec<u8>,
    at: usize,
}

impl<'a> Input<'a> {
    pub(in crate::formats) fn new(source: &'a Source, label: &'a str, start: u64) -> Self {
        Self { source, label, next: start, block: Vec::new(), at: 0 }
    }

    /// The offset in the source of the next byte.
    pub(in crate::formats) fn position(&self) -> u64 {
        self.next - (self.block.len() - self.at) as u64
    }

    pub(super) fn source(&self) -> &'a Source {
        self.source
    }

    /// The reader's position, for messages.
    pub(super) fn place(&self) -> String {
        format!("byte {} of {}", self.position(), self.label)
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> Error {
        self.source.damaged(self.place(), what)
    }

    fn truncated(&self) -> Error {
        self.damaged("the pickle ends in the middle of a value")
    }

    /// Reads the next block; returns whether there was one.
    fn refill(&mut self) -> Result<bool> {
        let left = self.source.len().saturating_sub(self.next);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
        self.block.resize(n, 0);
        self.source.read_at(self.next, &mut self.block)?;
        self.next += n as u64;
        self.at = 0;
        Ok(n > 0)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        if self.at == self.block.len() && !self.refill()? {
            return Err(self.truncated());
        }
        self.at += 1;
        Ok(self.block[self.at - 1])
    }

    /// The next `n` bytes. Nothing is allocated before it is known that they exist.
    pub(super) fn take(&mut self, n: u64) -> Result<Box<[u8]>> {
        if n > self.source.len().saturating_sub(self.position()) {
            return Err(self.truncated());
        }
        let n = usize::try_from(n).map_err(|_| self.truncated())?;
        let buffered = n.min(self.block.len() - self.at);
        let mut bytes = vec![0; n];
        bytes[..buffered].copy_from_slice(&self.block[self.at..self.at + buffered]);
        if n > buffered {
            self.source.read_at(self.next, &mut bytes[buffered..])?;
            self.next += (n - buffered) as u64;
        }
        self.at += buffered;
        Ok(bytes.into())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes up to the next newline, without it.
    pub(super) fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(line),
                byte => line.push(byte),
            }
            if line.len() > MAX_LINE {
                return Err(self.source.limit("a line of the pickle", line.len(), MAX_LINE));
            }
        }
    }

    /// A line of text.
    pub(super) fn text_line(&mut self) -> Result<String> {
        let line = self.line()?;
        String::from_utf8(line).map_err(|_| self.damaged("a line that is not text"))
    }
}
