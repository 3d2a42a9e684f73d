//! One zstd frame, for readers that stop behind the first.
//!
//! Invariant: the bytes depend on the input, the level and the library alone, not on how the input is cut into writes: the
//! compressor is given pieces of one size. Memory is the compressor's, which a window of 8 MiB bounds, and a piece.

use crate::error::Error;
use std::io::{self, Write};
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

/// What a reader must hold of a frame: 8 MiB.
const WINDOW_LOG: u32 = 23;
/// Bytes that the compressor is given at once.
const PIECE: usize = 128 << 10;

/// Compresses what is written as one frame. What is not finished lacks its end.
pub struct Frame<W> {
    out: W,
    context: CCtx<'static>,
    piece: Vec<u8>,
    room: Vec<u8>,
}

impl<W: Write> Frame<W> {
    /// Compresses into `out`, at a level from 1 to 22.
    pub fn new(level: u8, out: W) -> Self {
        let mut context = CCtx::create();
        for parameter in
            [CParameter::CompressionLevel(level.clamp(1, 22).into()), CParameter::WindowLog(WINDOW_LOG)]
        {
            context.set_parameter(parameter).expect("the level and the window are in range");
        }
        Self { out, context, piece: Vec::with_capacity(PIECE), room: vec![0; PIECE] }
    }

    /// Ends the frame.
    pub fn finish(mut self) -> io::Result<W> {
        self.press()?;
        loop {
            let mut room = OutBuffer::around(&mut self.room[..]);
            let left = self.context.end_stream(&mut room).map_err(failed)?;
            let length = room.pos();
            self.out.write_all(&self.room[..length])?;
            if left == 0 {
                return Ok(self.out);
            }
        }
    }

    fn press(&mut self) -> io::Result<()> {
        let mut input = InBuffer::around(&self.piece);
        while input.pos() < self.piece.len() {
            let mut room = OutBuffer::around(&mut self.room[..]);
            self.context.compress_stream(&mut room, &mut input).map_err(failed)?;
            let length = room.pos();
            self.out.write_all(&self.room[..length])?;
        }
        self.piece.clear();
        Ok(())
    }
}

impl<W: Write> Write for Frame<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.press()?;
        }
        Ok(count)
    }

    /// Pieces are cut where they are full, and nowhere else.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(code: usize) -> io::Error {
    Error::Codec { codec: "zstd", what: zstd_safe::get_error_name(code) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decoder;
    use orlop_spec::Limits;
    use orlop_spec::media_type::Compression;
    use std::io::Read as _;

    fn frame(input: &[u8], write: usize) -> Vec<u8> {
        let mut frame = Frame::new(3, Vec::new());
        for piece in input.chunks(write) {
            frame.write_all(piece).expect("into memory");
        }
        frame.finish().expect("into memory")
    }

    #[test]
    fn a_frame_is_one_and_does_not_tell_how_it_was_written() {
        for length in [0, 1, PIECE - 1, PIECE, 3 * PIECE + 7] {
            let input: Vec<u8> = (0..length).map(|at: usize| (at * at).to_le_bytes()[1]).collect();
            let whole = frame(&input, length.max(1));
            assert!(whole == frame(&input, 777), "{length} bytes");
            assert_eq!(
                zstd_safe::find_frame_compressed_size(&whole),
                Ok(whole.len()),
                "one frame and no more"
            );
            let mut out = Vec::new();
            let mut decoder = decoder(Compression::Zstd, &whole[..], &Limits::default());
            decoder.read_to_end(&mut out).expect("it is whole");
            assert!(out == input, "{length} bytes");
        }
    }
}
