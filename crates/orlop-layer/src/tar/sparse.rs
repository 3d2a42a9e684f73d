//! Sparse files: which runs of a file the archive holds. Four ways to say it are read, none is written.
//!
//! Invariant: a [`Runs`] is ascending, without overlap, inside the file, and adds up to the stored bytes, so
//! the content and the place of the next header follow from one and the same numbers.
//!
//! ```text
//! old GNU     type S: 4 runs in the header, 21 in each block that follows while byte 504 is set
//! pax 0.0     GNU.sparse.offset and GNU.sparse.numbytes, again and again
//! pax 0.1     GNU.sparse.map=offset,length,offset,length,…
//! pax 1.0     at the start of the content: "count\n" "offset\n" "length\n" …, padded to a block
//! ```

use super::BLOCK;
use super::header::{self, Block, Header};
use super::input::Input;
use super::spelling::decimal;
use crate::error::Error;
use std::io::BufRead;

/// A run of stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The runs of one file, while they are read.
#[derive(Debug, Default, Clone)]
pub(super) struct Runs {
    list: Vec<Run>,
    /// Runs seen, those of no bytes too.
    count: usize,
    end: u64,
    stored: u64,
}

impl Runs {
    /// Adds the next run; `limit` is the largest count.
    pub(super) fn push(&mut self, run: Run, limit: usize, offset: u64) -> Result<(), Error> {
        let end = run.offset.checked_add(run.length).filter(|_| run.offset >= self.end);
        let Some(end) = end else {
            return Err(Error::Tar { offset, what: "the runs of a sparse file overlap or are out of order" });
        };
        if self.count >= limit {
            return Err(too_many(limit));
        }
        self.count += 1;
        self.end = end;
        self.stored += run.length;
        if run.length > 0 {
            self.list.push(run);
        }
        Ok(())
    }

    /// The runs, if they fit a file of `size` bytes of which `stored` are in the archive.
    pub(super) fn finish(self, size: u64, stored: u64, offset: u64) -> Result<Vec<Run>, Error> {
        if self.end > size || self.stored != stored {
            return Err(Error::Tar { offset, what: "the runs of a sparse file do not fit its size" });
        }
        Ok(self.list)
    }
}

fn too_many(limit: usize) -> Error {
    Error::Limit { what: "the number of runs of a sparse file", limit: limit as u64 }
}

/// Reads the runs of an old GNU sparse file: those in its header and in the blocks after it.
pub(super) fn old_gnu<R: BufRead>(
    header: &Header<'_>,
    input: &mut Input<R>,
    limit: usize,
) -> Result<Runs, Error> {
    let mut runs = Runs::default();
    let block = header.block();
    let mut more = slots(&block[386..482], block[482], &mut runs, limit, header)?;
    let mut extension = [0; BLOCK];
    while more {
        input.exact(&mut extension, "the archive ends inside the runs of a sparse file")?;
        more = slots(&extension[..504], extension[504], &mut runs, limit, header)?;
    }
    Ok(runs)
}

/// Takes runs up to the first empty slot; whether a further block follows. Readers disagree about a half empty
/// slot, and about blocks after an empty one.
fn slots(
    slots: &[u8],
    extended: u8,
    runs: &mut Runs,
    limit: usize,
    header: &Header<'_>,
) -> Result<bool, Error> {
    const WHAT: &str = "a run of a sparse file is malformed";
    let mut full = true;
    for slot in slots.chunks_exact(24) {
        let (offset, length) = slot.split_at(12);
        match (full, offset[0], length[0]) {
            (_, 0, 0) => full = false,
            (false, ..) | (_, 0, _) | (_, _, 0) => return Err(header.damaged(WHAT)),
            _ => {
                let part = |field| header::number(field).and_then(header::length);
                let (Some(offset), Some(length)) = (part(offset), part(length)) else {
                    return Err(header.damaged(WHAT));
                };
                runs.push(Run { offset, length }, limit, header.offset())?;
            }
        }
    }
    if extended != 0 && !full {
        return Err(header.damaged(WHAT));
    }
    Ok(extended != 0)
}

/// Reads the map at the start of the content (pax 1.0); also how many bytes of the content it took.
pub(super) fn in_content<R: BufRead>(
    input: &mut Input<R>,
    stored: u64,
    limit: usize,
) -> Result<(Runs, u64), Error> {
    let mut map = Map { input, block: [0; BLOCK], at: BLOCK, taken: 0, stored };
    let start = map.input.offset();
    let count = map.number()?;
    if count > limit as u64 {
        return Err(too_many(limit));
    }
    let mut runs = Runs::default();
    for _ in 0..count {
        let (offset, length) = (map.number()?, map.number()?);
        runs.push(Run { offset, length }, limit, start)?;
    }
    Ok((runs, map.taken))
}

/// Decimal lines in whole blocks.
struct Map<'a, R> {
    input: &'a mut Input<R>,
    block: Block,
    at: usize,
    taken: u64,
    stored: u64,
}

impl<R: BufRead> Map<'_, R> {
    fn number(&mut self) -> Result<u64, Error> {
        let mut digits = [0; 20];
        for count in 0..digits.len() {
            match self.byte()? {
                b'\n' => return decimal(&digits[..count]).ok_or_else(|| self.damaged()),
                digit => digits[count] = digit,
            }
        }
        Err(self.damaged())
    }

    fn byte(&mut self) -> Result<u8, Error> {
        if self.at == BLOCK {
            if self.stored - self.taken < BLOCK as u64 {
                return Err(self.damaged());
            }
            self.input.exact(&mut self.block, "the archive ends inside the map of a sparse file")?;
            self.taken += BLOCK as u64;
            self.at = 0;
        }
        self.at += 1;
        Ok(self.block[self.at - 1])
    }

    fn damaged(&self) -> Error {
        Error::Tar { offset: self.input.offset(), what: "the map of a sparse file is malformed" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(list: &[(u64, u64)]) -> Result<Runs, Error> {
        let mut runs = Runs::default();
        for (offset, length) in list {
            runs.push(Run { offset: *offset, length: *length }, 4, 0)?;
        }
        Ok(runs)
    }

    #[test]
    fn runs_ascend_and_fit_the_file() {
        assert!(runs(&[(0, 5), (10, 5), (20, 0)]).expect("ascending").finish(20, 10, 0).is_ok());
        assert!(runs(&[(0, 5)]).expect("ascending").finish(4, 5, 0).is_err());
        assert!(runs(&[(0, 5)]).expect("ascending").finish(9, 6, 0).is_err());
        assert!(runs(&[(0, 5), (4, 5)]).is_err());
        assert!(runs(&[(5, 5), (0, 5)]).is_err());
        assert!(runs(&[(u64::MAX, 1)]).is_err());
    }

    #[test]
    fn t4_the_number_of_runs_is_capped() {
        assert!(matches!(runs(&[(0, 0); 5]), Err(Error::Limit { limit: 4, .. })));
        assert!(matches!(
            runs(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]),
            Err(Error::Limit { limit: 4, .. })
        ));
    }
}
