//! How a request is answered: rightly, or as its fault says.

use super::faults::{Break, Effect, Moment, Piece};
use super::{Core, Seen, Struck};
use crate::http::{Asked, CONTINUE, Reply};
use crate::line::Line;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::time::Duration;

/// How long a silent or slow server is silent or slow before it gives up.
const SILENCE: Duration = Duration::from_secs(8);

/// What the client was sent may arrive before the connection breaks.
const ARRIVAL: Duration = Duration::from_millis(60);

/// Between two bytes of what drips.
const DRIP: Duration = Duration::from_millis(50);

/// An endless thing ends here: nobody reads so much.
const ENDLESS: u64 = 64 << 20;

/// Answers one request; `None` where the connection is over.
pub(super) fn deliver(
    core: &Core,
    line: &mut BufReader<Line>,
    seen: &mut Seen,
    struck: &Struck,
) -> Option<()> {
    let effect = struck.fault.map_or(Effect::None, |fault| fault.effect);
    match effect {
        Effect::Deaf(how) => {
            receive(line, seen, Share::Half, CONTINUE)?;
            return end(line.get_mut(), how);
        }
        Effect::Early(early) => {
            receive(line, seen, Share::Half, CONTINUE)?;
            let reply = early(&core.scene(&seen.asked, struck)).with("Connection", "close");
            send(line.get_mut(), seen, &reply)?;
            return linger(line, seen);
        }
        Effect::Mute => receive(line, seen, Share::Whole, b"")?,
        _ => receive(line, seen, Share::Whole, CONTINUE)?,
    }
    let asked = seen.asked.clone();
    let scene = core.scene(&asked, struck);
    let right = || core.answer(&asked, struck);
    let line = line.get_mut();
    match effect {
        Effect::None | Effect::Deaf(_) | Effect::Early(_) | Effect::Mute => send(line, seen, &right()),
        Effect::Change(change) => send(line, seen, &change(&scene, right())),
        Effect::Instead(instead) => send(line, seen, &instead(&scene)),
        Effect::Raw(raw) => send_raw(line, seen, &raw(&scene, right())),
        Effect::Range(lie) if asked.header("Range").is_some() => send(line, seen, &lie(&scene)),
        Effect::Range(_) => broken(line, seen, &right(), Break::Reset, Moment::HalfBody),
        Effect::Break(how, Moment::Asked) => end(line, how),
        Effect::Break(how, moment) => broken(line, seen, &right(), how, moment),
        Effect::Slow(piece) => slow(line, seen, &right(), piece),
        Effect::Silent(piece) => silent(line, seen, &right(), piece),
        Effect::Endless(piece) => endless(line, seen, &right(), piece),
    }
}

/// How much of a body is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Half,
    Whole,
}

/// Reads a body, after what a client that expects an invitation is sent.
fn receive(line: &mut BufReader<Line>, seen: &mut Seen, share: Share, invitation: &[u8]) -> Option<()> {
    if seen.asked.header("Expect").is_some() {
        line.get_mut().write_all(invitation).ok()?;
        line.get_mut().flush().ok()?;
    }
    let done = match share {
        Share::Whole => seen.asked.read_body(line).ok(),
        Share::Half => {
            let length: u64 = seen.asked.header("Content-Length").and_then(|it| it.parse().ok()).unwrap_or(0);
            let half = line.take(length / 2).read_to_end(&mut seen.asked.body);
            half.ok().map(drop)
        }
    };
    seen.received = seen.asked.body.len() as u64;
    done
}

/// Sends an answer as it is.
fn send(line: &mut Line, seen: &mut Seen, reply: &Reply) -> Option<()> {
    seen.status = reply.status;
    let pause = reply.header("Retry-After").and_then(|seconds| seconds.parse().ok());
    seen.pause = pause.filter(|seconds| *seconds < 10).map(Duration::from_secs);
    seen.sent = if is_head(&seen.asked) { 0 } else { reply.body.len() as u64 };
    reply.send(&seen.asked, line).ok()?;
    let is_last = reply.header("Connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
    if is_last {
        line.part_politely();
    }
    (!is_last).then_some(())
}

/// Sends bytes that need be no answer, and ends.
fn send_raw(line: &mut Line, seen: &mut Seen, bytes: &[u8]) -> Option<()> {
    seen.sent = bytes.len() as u64;
    line.write_all(bytes).ok()?;
    line.flush().ok()?;
    line.part_politely();
    let _still_there = line.wait(ARRIVAL);
    None
}

/// Reads on until the client has seen the answer and leaves, as careful servers do.
fn linger(line: &mut BufReader<Line>, seen: &mut Seen) -> Option<()> {
    loop {
        let read = line.fill_buf().map_or(0, <[u8]>::len);
        if read == 0 {
            return None;
        }
        seen.received += read as u64;
        line.consume(read);
    }
}

/// Breaks the connection.
fn end(line: &mut Line, how: Break) -> Option<()> {
    match how {
        Break::Reset => line.reset(),
        Break::Close => {}
    }
    None
}

/// Sends the beginning of an answer and breaks the connection.
fn broken(line: &mut Line, seen: &mut Seen, reply: &Reply, how: Break, moment: Moment) -> Option<()> {
    let head = reply.head();
    let body = if is_head(&seen.asked) { &[] } else { reply.body.as_slice() };
    let (head, body) = match moment {
        Moment::Asked | Moment::Done => (&head[..0], &body[..0]),
        Moment::HalfHead => (&head[..head.len() / 2], &body[..0]),
        Moment::Head => (&head[..], &body[..0]),
        Moment::HalfBody => (&head[..], &body[..body.len() / 2]),
        Moment::Whole => (&head[..], body),
    };
    seen.status = if head.is_empty() { 0 } else { reply.status };
    seen.sent = body.len() as u64;
    line.write_all(head).ok()?;
    line.write_all(body).ok()?;
    line.flush().ok()?;
    let _still_there = line.wait(ARRIVAL);
    end(line, how)
}

/// Sends a piece byte by byte.
fn slow(line: &mut Line, seen: &mut Seen, reply: &Reply, piece: Piece) -> Option<()> {
    let head = reply.head();
    seen.status = reply.status;
    let quick = if piece == Piece::Head { &[][..] } else { &head };
    line.write_all(quick).ok()?;
    let rest = if piece == Piece::Head { &head } else { &reply.body };
    let most = usize::try_from(SILENCE.as_millis() / DRIP.as_millis()).expect("few");
    for byte in rest.iter().take(most) {
        line.write_all(std::slice::from_ref(byte)).ok()?;
        line.flush().ok()?;
        seen.sent += u64::from(piece == Piece::Body);
        line.wait(DRIP)?;
    }
    None
}

/// Sends nothing, or half a body and then nothing.
fn silent(line: &mut Line, seen: &mut Seen, reply: &Reply, piece: Piece) -> Option<()> {
    if piece == Piece::Body {
        let half = &reply.body[..reply.body.len() / 2];
        seen.status = reply.status;
        seen.sent = half.len() as u64;
        line.write_all(&reply.head()).ok()?;
        line.write_all(half).ok()?;
        line.flush().ok()?;
    }
    line.wait(SILENCE);
    None
}

/// Sends without an end.
fn endless(line: &mut Line, seen: &mut Seen, reply: &Reply, piece: Piece) -> Option<()> {
    seen.status = reply.status;
    let (head, filler) = match piece {
        Piece::Head => {
            (format!("HTTP/1.1 {} Fine\r\n", reply.status), b"X-Filler: xxxxxxxxxxxxxxxx\r\n".repeat(64))
        }
        Piece::Body => {
            let reply = reply.clone().without("Content-Length").with("Transfer-Encoding", "chunked");
            let head = String::from_utf8_lossy(&reply.head()).into_owned();
            (head, [b"800\r\n".as_slice(), &[b'0'; 0x800], b"\r\n"].concat())
        }
    };
    line.write_all(head.as_bytes()).ok()?;
    while seen.sent < ENDLESS {
        line.write_all(&filler).ok()?;
        line.flush().ok()?;
        seen.sent += filler.len() as u64;
    }
    None
}

fn is_head(asked: &Asked) -> bool {
    asked.method == "HEAD"
}
