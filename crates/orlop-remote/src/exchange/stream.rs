//! A connection that never blocks unwatched: a socket, or TLS over one.
//!
//! Invariant: an end of the stream that TLS did not announce is an error, so a cut body is never a whole one.

use super::watch::Watch;
use rustix::event::PollFlags;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// A connection. Its socket does not block.
pub(crate) struct Stream {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    /// In the clear.
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// Agrees on TLS over a stream in the clear.
    pub(crate) fn secure(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        watch: &mut Watch<'_>,
    ) -> io::Result<Self> {
        let tls = ClientConnection::new(config, name).map_err(broken)?;
        let mut stream = Self { socket: self.socket, tls: Some(Box::new(tls)) };
        stream.shake_hands(watch)?;
        Ok(stream)
    }

    /// Reads what is there, and waits where there is nothing; 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], watch: &mut Watch<'_>) -> io::Result<usize> {
        loop {
            let most = watch.allow(buffer.len())?;
            if let Some(count) = watch.passed_of(most, self.read_now(&mut buffer[..most]))? {
                return Ok(count);
            }
            watch.wait(&self.socket, PollFlags::IN)?;
        }
    }

    /// Reads what is there; `None` where there is nothing yet.
    pub(crate) fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(tls) = &mut self.tls else {
            return now(|| self.socket.read(buffer));
        };
        if let Some(count) = now(|| tls.reader().read(buffer))? {
            return Ok(Some(count));
        }
        while self.pull()?.is_some() {
            let Some(tls) = &mut self.tls else { break };
            if let Some(count) = now(|| tls.reader().read(buffer))? {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// Writes everything.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8], watch: &mut Watch<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            let most = watch.allow(bytes.len())?;
            match watch.passed_of(most, self.write_now(&bytes[..most]))? {
                Some(count) => bytes = &bytes[count..],
                None => watch.wait(&self.socket, PollFlags::OUT)?,
            }
        }
        self.flush(watch)
    }

    /// Writes what fits; `None` where nothing does.
    pub(crate) fn write_now(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if !self.flush_now()? {
            return Ok(None);
        }
        let Some(tls) = &mut self.tls else {
            return now(|| self.socket.write(bytes));
        };
        let count = tls.writer().write(bytes)?;
        self.flush_now()?;
        Ok(Some(count))
    }

    /// Sends on what TLS still holds.
    pub(crate) fn flush(&mut self, watch: &mut Watch<'_>) -> io::Result<()> {
        while !self.flush_now()? {
            watch.wait(&self.socket, PollFlags::OUT)?;
        }
        Ok(())
    }

    /// Waits until something can be read or written.
    pub(crate) fn await_either(&self, watch: &mut Watch<'_>) -> io::Result<()> {
        watch.wait(&self.socket, PollFlags::IN | PollFlags::OUT)
    }

    /// Whether the other side said anything, or left, since the last answer: then it is of no use any more.
    pub(crate) fn is_quiet(&mut self) -> bool {
        matches!(self.read_now(&mut [0]), Ok(None))
    }

    fn flush_now(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.wants_write() {
            if now(|| tls.write_tls(&mut self.socket))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn shake_hands(&mut self, watch: &mut Watch<'_>) -> io::Result<()> {
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.flush(watch)?;
            match self.pull()? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(count) => watch.moved(count),
                None => watch.wait(&self.socket, PollFlags::IN)?,
            }
        }
        self.flush(watch)
    }

    /// Takes from the socket what there is; 0 at its end, `None` where there is nothing yet.
    fn pull(&mut self) -> io::Result<Option<usize>> {
        let Some(tls) = &mut self.tls else { return Ok(None) };
        let Some(count) = now(|| tls.read_tls(&mut self.socket))? else { return Ok(None) };
        let outcome = tls.process_new_packets();
        if let Err(error) = outcome {
            // The alert that says why may still get out.
            let _sent = now(|| tls.write_tls(&mut self.socket));
            return Err(broken(error));
        }
        Ok(Some(count))
    }
}

/// An operation on what does not block: `None` where it would have.
fn now(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match operation() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
