//! Contents of archives: raw deflate (RFC 1951).
//!
//! Contents that are held in memory are compressed as a whole by libdeflate, which takes half the time and makes as little;
//! others pass through zlib. Any deflate of a content is legal: its id is that of what comes out.

use super::file::read_some;
use crate::Error;
use libdeflater::{CompressionLvl, Compressor};
use orlop_fs::File;
use std::sync::Mutex;
use zlib_rs::{Deflate, DeflateFlush, InflateFlush, Status};

/// zlib's way to say: a window of 32 KiB.
const WINDOW: u8 = 15;
/// Bytes that are read, or written, at once.
const PIECE: usize = 64 << 10;

/// What a deflated file holds.
pub(super) struct Inflate {
    file: File,
    state: zlib_rs::Inflate,
    input: Vec<u8>,
    at: usize,
    is_ended: bool,
}

impl Inflate {
    /// Reads from the file's position on.
    pub(super) fn new(file: File) -> Self {
        let state = zlib_rs::Inflate::new(false, WINDOW);
        Self { file, state, input: Vec::new(), at: 0, is_ended: false }
    }

    /// The next bytes; none at the end; `None` where the file holds no deflate, or something behind it.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<Option<usize>, Error> {
        loop {
            let at_end = self.at == self.input.len() && !self.fill()?;
            if self.is_ended {
                return Ok(at_end.then_some(0));
            }
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let Ok(status) = self.state.decompress(&self.input[self.at..], out, InflateFlush::NoFlush) else {
                return Ok(None);
            };
            let count = |now: u64, before: u64| usize::try_from(now - before).expect("a part of a slice");
            let (read, written) =
                (count(self.state.total_in(), read), count(self.state.total_out(), written));
            self.at += read;
            self.is_ended = matches!(status, Status::StreamEnd);
            if written > 0 {
                return Ok(Some(written));
            }
            if !self.is_ended && (read == 0 || at_end) {
                return Ok(None);
            }
        }
    }

    /// Whether there is more of the file.
    fn fill(&mut self) -> Result<bool, Error> {
        self.input.resize(PIECE, 0);
        let count = read_some(&mut self.file, &mut self.input)?;
        self.input.truncate(count);
        self.at = 0;
        Ok(count > 0)
    }
}

/// Compressors that are lent and come back: making one takes longer than most files.
pub(super) struct Compressors {
    level: u8,
    idle: Mutex<Vec<Compressor>>,
}

impl Compressors {
    /// Of a level from 1 to 9.
    pub(super) fn new(level: u8) -> Self {
        Self { level: level.clamp(1, 9), idle: Mutex::default() }
    }

    /// What is in `front`, and behind it a whole content, deflated.
    pub(super) fn deflate(&self, front: &[u8], content: &[u8]) -> Vec<u8> {
        let mut compressor = self.take();
        let start = front.len();
        // Zeros of the kernel: what is not needed of a large bound costs no memory.
        let mut out = vec![0; start + compressor.deflate_compress_bound(content.len())];
        out[..start].copy_from_slice(front);
        let length =
            compressor.deflate_compress(content, &mut out[start..]).expect("the bound has room for all");
        out.truncate(start + length);
        self.idle.lock().expect("no holder panics").push(compressor);
        out
    }

    /// A compressor for a content that passes.
    pub(super) fn stream(&self) -> Deflating {
        let state = Deflate::new(self.level.into(), false, WINDOW);
        Deflating { state, out: vec![0; PIECE] }
    }

    fn take(&self) -> Compressor {
        let idle = self.idle.lock().expect("no holder panics").pop();
        idle.unwrap_or_else(|| {
            // libdeflate makes as little at one level less as zlib does, in less time.
            let level = i32::from(self.level.max(2)) - 1;
            let level = CompressionLvl::new(level).expect("from 1 to 8 is in range");
            Compressor::new(level)
        })
    }
}

/// Deflates a content that passes.
pub(super) struct Deflating {
    state: Deflate,
    out: Vec<u8>,
}

impl Deflating {
    /// Takes the next bytes, and hands on what comes of them.
    pub(super) fn push<E>(
        &mut self,
        bytes: &[u8],
        give: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.run(bytes, DeflateFlush::NoFlush, give)
    }

    /// Hands on what is left.
    pub(super) fn finish<E>(mut self, give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.run(&[], DeflateFlush::Finish, give)
    }

    fn run<E>(
        &mut self,
        mut bytes: &[u8],
        flush: DeflateFlush,
        mut give: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let status =
                self.state.compress(bytes, &mut self.out, flush).expect("a stream that goes on takes bytes");
            let count = |now: u64, before: u64| usize::try_from(now - before).expect("a part of a slice");
            bytes = &bytes[count(self.state.total_in(), read)..];
            let written = count(self.state.total_out(), written);
            give(&self.out[..written])?;
            let is_done = match flush {
                DeflateFlush::Finish => matches!(status, Status::StreamEnd),
                _ => bytes.is_empty() && written < self.out.len(),
            };
            if is_done {
                return Ok(());
            }
        }
    }
}
