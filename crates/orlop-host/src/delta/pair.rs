//! What two versions of a file have in common, small differences allowed: as in bsdiff, by matches of blocks.
//!
//! ```text
//! target   ──┬── like the source, from s on ──┬── new ──┬── like the source, from s' on ──┬──
//!            └ copy │ add │ copy │ add        └ data    └ add │ copy
//! ```
//!
//! Every eighth place of the source is known by its next 16 bytes. A match begins a region, which grows both ways as long as
//! most of its bytes agree: a program that was moved by an instruction differs in its addresses alone, and the differences of
//! equal addresses are equal, so they compress.
//!
//! Invariant: the parts lie one after the other and are the target. Time is that of one look-up for each byte of the target,
//! however the input looks; memory is as much as the source.

use std::ops::Range;

/// A part of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Which bytes of the target.
    pub(super) target: Range<usize>,
    pub(super) how: How,
}

/// Where the bytes of a part come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// They are new.
    Data,
    /// They are those of the source from here on.
    Copy(usize),
    /// Most of them are those of the source from here on.
    Add(usize),
}

/// Bytes by which places are known.
const KEY: usize = 16;
/// Every so manieth place of the source is known.
const STRIDE: usize = 8;
/// Bytes that agree, at least, where a region begins.
const SHORTEST: usize = 24;
/// Places of one key that are tried.
const TRIED: usize = 8;
/// Bytes that agree within a region, at least, to be an operation of their own.
const COPIED: usize = 96;
/// A byte that differs costs a region as much as so many that agree bring.
const PENALTY: isize = 2;

/// A region: `target` and as many bytes of the source from `source` on are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Region {
    target: Range<usize>,
    source: usize,
}

/// How the target is made of the source.
pub(super) fn parts(source: &[u8], target: &[u8]) -> Vec<Part> {
    let anchors = Scan { source, target, places: Places::new(source) }.anchors();
    let regions = grown(source, target, &anchors);
    let mut parts = Vec::new();
    let mut done = 0;
    for region in &regions {
        if done < region.target.start {
            parts.push(Part { target: done..region.target.start, how: How::Data });
        }
        split(source, target, region, &mut parts);
        done = region.target.end;
    }
    if done < target.len() {
        parts.push(Part { target: done..target.len(), how: How::Data });
    }
    parts
}

/// The places of a source by their keys.
struct Places {
    /// By hash: 0, or one more than the number of the first block.
    heads: Vec<u32>,
    /// By block: the next one of the same hash, spelled as in `heads`.
    next: Vec<u32>,
    shift: u32,
}

impl Places {
    fn new(source: &[u8]) -> Self {
        let count = (source.len() + STRIDE).saturating_sub(KEY) / STRIDE;
        let bits = count.next_power_of_two().ilog2().max(8);
        let mut places = Self { heads: vec![0; 1 << bits], next: vec![0; count], shift: u64::BITS - bits };
        // The last one that is put in is found first.
        for block in (0..count).rev() {
            let hash = places.hash(key(source, block * STRIDE));
            places.next[block] = places.heads[hash];
            places.heads[hash] = u32::try_from(block + 1).expect("sources are small");
        }
        places
    }

    fn of(&self, key: [u64; 2]) -> impl Iterator<Item = usize> {
        let mut block = self.heads[self.hash(key)] as usize;
        let blocks = std::iter::from_fn(move || {
            let found = block.checked_sub(1)?;
            block = self.next[found] as usize;
            Some(found)
        });
        blocks.take(TRIED).map(|block| block * STRIDE)
    }

    fn hash(&self, [one, two]: [u64; 2]) -> usize {
        let mixed = (one ^ two.rotate_left(32).wrapping_mul(0xd6e8_feb8_6659_fd93))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> self.shift).expect("there are fewer than 2^32 heads")
    }
}

fn key(bytes: &[u8], at: usize) -> [u64; 2] {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    [word(at), word(at + 8)]
}

struct Scan<'a> {
    source: &'a [u8],
    target: &'a [u8],
    places: Places,
}

impl Scan<'_> {
    /// Where regions begin: places of the target and of the source, of which at least 24 bytes agree.
    fn anchors(&self) -> Vec<(usize, usize)> {
        let mut anchors: Vec<(usize, usize)> = Vec::new();
        let (mut at, mut missed) = (0, 0);
        while at + KEY <= self.target.len() {
            // Where the last region would go on.
            let along = anchors.last().map(|(target, source)| source + (at - target));
            let agreed = along.map_or(0, |along| self.agreed(at, along));
            if agreed >= SHORTEST {
                (at, missed) = (at + agreed, 0);
                continue;
            }
            match self.best(at) {
                None => {
                    missed += 1;
                    at += 1 + (missed >> 10).min(3);
                }
                Some((source, length)) => {
                    let kept = along.map_or(0, |along| self.alike(at..at + length, along));
                    if kept + 8 < length {
                        anchors.push((at, source));
                    }
                    (at, missed) = (at + length, 0);
                }
            }
        }
        anchors
    }

    /// The place of the source that agrees longest.
    fn best(&self, at: usize) -> Option<(usize, usize)> {
        let found = self.places.of(key(self.target, at)).map(|source| (source, self.agreed(at, source)));
        found
            .filter(|(_, length)| *length >= SHORTEST)
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// How many bytes agree from there on.
    fn agreed(&self, target: usize, source: usize) -> usize {
        let (target, source) = (&self.target[target..], self.source.get(source..).unwrap_or_default());
        common(target, source)
    }

    fn alike(&self, target: Range<usize>, source: usize) -> usize {
        let source = self.source.get(source..).unwrap_or_default();
        self.target[target].iter().zip(source).filter(|(one, other)| one == other).count()
    }
}

/// How many bytes two slices begin with alike.
fn common(one: &[u8], other: &[u8]) -> usize {
    let most = one.len().min(other.len());
    let mut at = 0;
    while at + 8 <= most {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let differing = word(one) ^ word(other);
        if differing != 0 {
            return at + differing.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + one[at..most].iter().zip(&other[at..most]).take_while(|(one, other)| one == other).count()
}

/// Lets the regions that begin at the anchors grow; they do not overlap.
fn grown(source: &[u8], target: &[u8], anchors: &[(usize, usize)]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::with_capacity(anchors.len());
    for (number, (at, from)) in anchors.iter().enumerate() {
        let next = anchors.get(number + 1).map_or(target.len(), |(next, _)| *next);
        let forward = growth(target[*at..next].iter().zip(&source[*from..]));
        let floor = number.checked_sub(1).map_or(0, |before| anchors[before].0);
        let backward = growth(target[floor..*at].iter().rev().zip(source[..*from].iter().rev()));
        let mut region = Region { target: at - backward..at + forward, source: from - backward };
        if let Some(before) = regions.last_mut() {
            part_ways(source, target, before, &mut region);
        }
        regions.push(region);
    }
    regions.retain(|region| region.target.len() >= SHORTEST);
    regions
}

/// How far a region grows: to where it holds the most bytes that agree, for those that do not.
fn growth<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    /// So much below the best no region comes back.
    const LOST: isize = 1 << 12;
    let (mut score, mut best, mut length) = (0, 0, 0);
    for (count, (one, other)) in pairs.enumerate() {
        score += if one == other { 1 } else { -PENALTY };
        if score > best {
            (best, length) = (score, count + 1);
        } else if score + LOST < best {
            break;
        }
    }
    length
}

/// Where two regions meet, each byte goes to the one that agrees with it more often.
fn part_ways(source: &[u8], target: &[u8], before: &mut Region, after: &mut Region) {
    let overlap = after.target.start..before.target.end;
    if overlap.is_empty() {
        return;
    }
    let agrees = |region: &Region, at: usize| {
        isize::from(target[at] == source[region.source + at - region.target.start])
    };
    let (mut score, mut best, mut border) = (0, 0, overlap.start);
    for at in overlap {
        score += agrees(before, at) - agrees(after, at);
        if score > best {
            (best, border) = (score, at + 1);
        }
    }
    before.target.end = border;
    after.source += border - after.target.start;
    after.target.start = border;
}

/// The parts of a region: long runs that agree are copied.
fn split(source: &[u8], target: &[u8], region: &Region, parts: &mut Vec<Part>) {
    let Range { start, end } = region.target.clone();
    let from = |at: usize| region.source + (at - start);
    let (mut done, mut at) = (start, start);
    while at < end {
        let run = common(&target[at..end], &source[from(at)..]);
        if run >= COPIED {
            if done < at {
                parts.push(Part { target: done..at, how: How::Add(from(done)) });
            }
            parts.push(Part { target: at..at + run, how: How::Copy(from(at)) });
            done = at + run;
        }
        at += run + 1;
    }
    if done < end {
        parts.push(Part { target: done..end, how: How::Add(from(done)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the parts give.
    fn rebuilt(source: &[u8], target: &[u8], parts: &[Part]) -> Vec<u8> {
        let mut out = Vec::new();
        for Part { target: range, how } in parts {
            assert_eq!(range.start, out.len(), "the parts lie one after the other");
            match how {
                How::Data => out.extend_from_slice(&target[range.clone()]),
                How::Copy(from) => out.extend_from_slice(&source[*from..from + range.len()]),
                How::Add(from) => {
                    let old = &source[*from..from + range.len()];
                    let added =
                        target[range.clone()].iter().zip(old).map(|(new, old)| new.wrapping_sub(*old));
                    out.extend(added.zip(old).map(|(added, old)| added.wrapping_add(*old)));
                }
            }
        }
        out
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    fn new_bytes(parts: &[Part]) -> usize {
        parts.iter().filter(|part| part.how == How::Data).map(|part| part.target.len()).sum()
    }

    #[test]
    fn what_moved_is_found_at_its_new_place() {
        let source = noise(50_000);
        let target = [&source[30_000..], b"something new", &source[..30_000]].concat();
        let parts = parts(&source, &target);
        assert!(rebuilt(&source, &target, &parts) == target);
        assert!(new_bytes(&parts) <= 13, "{parts:?}");
    }

    #[test]
    fn a_program_with_other_addresses_is_added_to() {
        let source = noise(40_000);
        let mut target = [b"moved!!!", &source[..]].concat();
        for at in (20..target.len() - 4).step_by(37) {
            target[at] = target[at].wrapping_add(8);
        }
        let parts = parts(&source, &target);
        assert!(rebuilt(&source, &target, &parts) == target);
        assert!(new_bytes(&parts) < 64, "{} bytes are new", new_bytes(&parts));
        assert!(parts.len() < 10, "{} parts", parts.len());
    }

    #[test]
    fn what_has_nothing_in_common_is_new() {
        let (source, target) = (noise(10_000), noise(30_000)[15_000..].to_vec());
        assert_eq!(parts(&source, &target), [Part { target: 0..15_000, how: How::Data }]);
        assert_eq!(parts(&[], b"x"), [Part { target: 0..1, how: How::Data }]);
        assert!(parts(b"x", &[]).is_empty());
    }

    #[test]
    fn a_source_of_one_byte_over_and_over_costs_no_more_than_another() {
        let (source, target) = (vec![0; 1 << 20], [noise(100), vec![0; 1 << 20], noise(100)].concat());
        let parts = parts(&source, &target);
        assert!(rebuilt(&source, &target, &parts) == target);
        assert!(new_bytes(&parts) <= 200, "{}", new_bytes(&parts));
    }

    proptest! {
        #[test]
        fn parts_are_the_target(
            source in proptest::collection::vec(0u8..4, 0..2000),
            cuts in proptest::collection::vec((0usize..2000, 0usize..600, any::<u8>()), 0..8),
        ) {
            let mut target = Vec::new();
            for (at, length, byte) in cuts {
                let at = at.min(source.len());
                target.extend_from_slice(&source[at..(at + length).min(source.len())]);
                target.push(byte);
            }
            let parts = parts(&source, &target);
            prop_assert!(rebuilt(&source, &target, &parts) == target);
            prop_assert_eq!(parts.iter().map(|part| part.target.len()).sum::<usize>(), target.len());
        }
    }
}
