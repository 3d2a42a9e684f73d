//! zstd frames, one after the other, skippable ones among them (RFC 8878).
//!
//! Invariant: the end is reached only behind a whole frame. A window is at most the limit, whatever the frame
//! says, so memory is too.

use super::fill_buf;
use crate::error::Error;
use std::io::BufRead;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

pub(super) struct Unzstd<B> {
    input: B,
    context: DCtx<'static>,
    window: u64,
    place: Place,
}

/// Where the stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Inside,
    Between,
}

impl<B: BufRead> Unzstd<B> {
    pub(super) fn new(input: B, window: u64) -> Self {
        let mut context = DCtx::create();
        let log = window.max(1).ilog2().clamp(10, 31);
        context.set_parameter(DParameter::WindowLogMax(log)).expect("from 10 to 31 is in range");
        Self { input, context, window, place: Place::Start }
    }

    /// What is decoded.
    pub(super) fn input(&mut self) -> &mut B {
        &mut self.input
    }

    /// At least one byte, unless the stream is at its end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        loop {
            let input = fill_buf(&mut self.input)?;
            let at_end = input.is_empty();
            match self.place {
                Place::Start if at_end => return Err(damaged("there is nothing")),
                Place::Between if at_end => return Ok(0),
                _ => {}
            }
            let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(&mut *out));
            let left = self
                .context
                .decompress_stream(&mut to, &mut from)
                .map_err(|code| refused(code, self.window))?;
            let (read, written) = (from.pos(), to.pos());
            self.place = if left == 0 { Place::Between } else { Place::Inside };
            self.input.consume(read);
            match (read, written) {
                (0, 0) if at_end => return Err(damaged("it ends early")),
                (0, 0) => return Err(damaged("it leads nowhere")),
                (_, 0) => {}
                (_, count) => return Ok(count),
            }
        }
    }
}

fn refused(code: usize, window: u64) -> Error {
    /// What libzstd says of a window above the limit (`ZSTD_error_frameParameter_windowTooLarge`).
    const TOO_LARGE: &str = "Frame requires too much memory for decoding";
    match zstd_safe::get_error_name(code) {
        TOO_LARGE => Error::Limit { what: "the window of a zstd frame", limit: window },
        what => damaged(what),
    }
}

fn damaged(what: &'static str) -> Error {
    Error::Codec { codec: "zstd", what }
}
