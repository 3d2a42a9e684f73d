//! gzip members, one after the other (RFC 1952).
//!
//! Invariant: the end is reached only behind a whole member whose length and CRC are right. What follows the
//! last member is zeros, which tapes and some builders leave, or the stream is refused.

use super::fill_buf;
use crate::error::Error;
use std::io::BufRead;
use zlib_rs::{Inflate, InflateFlush, Status};

/// zlib's way to say: a gzip header, and a window of 32 KiB.
const GZIP_WINDOW: u8 = 16 + 15;

pub(super) struct Gunzip<B> {
    input: B,
    /// The member that is being read.
    member: Option<Inflate>,
    members: u64,
}

impl<B: BufRead> Gunzip<B> {
    pub(super) fn new(input: B) -> Self {
        Self { input, member: None, members: 0 }
    }

    /// What is decoded.
    pub(super) fn input(&mut self) -> &mut B {
        &mut self.input
    }

    /// At least one byte, unless the stream is at its end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        loop {
            if self.member.is_none() && !self.begin()? {
                return Ok(0);
            }
            let count = self.inflate(out)?;
            if count > 0 {
                return Ok(count);
            }
        }
    }

    /// Begins the next member; `false` at the end of the stream.
    fn begin(&mut self) -> Result<bool, Error> {
        match fill_buf(&mut self.input)?.first() {
            None if self.members > 0 => return Ok(false),
            None => return Err(damaged("there is nothing")),
            Some(0) if self.members > 0 => return self.zeros().map(|()| false),
            Some(0x1f) => {}
            Some(_) if self.members > 0 => return Err(damaged("something follows the last member")),
            Some(_) => return Err(damaged("it has no gzip header")),
        }
        self.members += 1;
        self.member = Some(Inflate::new(true, GZIP_WINDOW));
        Ok(true)
    }

    fn zeros(&mut self) -> Result<(), Error> {
        loop {
            let rest = fill_buf(&mut self.input)?;
            if rest.iter().any(|byte| *byte != 0) {
                return Err(damaged("something follows the last member"));
            }
            match rest.len() {
                0 => return Ok(()),
                count => self.input.consume(count),
            }
        }
    }

    /// Bytes written to `out`; none at the end of a member, or where its trailer or header is being read.
    fn inflate(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let Some(member) = &mut self.member else { return Ok(0) };
        let input = fill_buf(&mut self.input)?;
        let at_end = input.is_empty();
        let (read, written) = (member.total_in(), member.total_out());
        let status = member
            .decompress(input, out, InflateFlush::NoFlush)
            .map_err(|error| damaged(member.error_message().unwrap_or_else(|| error.as_str())))?;
        let (read, written) = (member.total_in() - read, member.total_out() - written);
        match status {
            Status::StreamEnd => self.member = None,
            _ if read == 0 && written == 0 && at_end => return Err(damaged("it ends early")),
            _ if read == 0 && written == 0 => return Err(damaged("it leads nowhere")),
            _ => {}
        }
        let length = |count| usize::try_from(count).expect("a part of a slice");
        self.input.consume(length(read));
        Ok(length(written))
    }
}

fn damaged(what: &'static str) -> Error {
    Error::Codec { codec: "gzip", what }
}
