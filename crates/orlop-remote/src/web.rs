//! Files of the web: one, or a folder of them.
//!
//! ```text
//! GET FILE ──► bytes        GET FILE, Range: bytes=N- ──► the bytes from N on, or all of them: then N are passed over
//! ```
//!
//! Invariant: nobody's credentials are sent; a file never gives more bytes than it is allowed to.

use crate::client::{Client, Errand, Payload, Redirects};
use crate::error::Error;
use crate::exchange::Answer;
use orlop_spec::port::{Origin, Result};
use orlop_spec::wire::header::{self, ContentRange};
use orlop_spec::wire::{Address, Failure, Method, Request};
use orlop_spec::{Digest, Fault, Hasher};
use std::io::{self, Read};

/// A file of the web.
#[derive(Clone)]
pub struct WebFile<'a> {
    client: Client<'a>,
    address: Address,
    most: u64,
}

/// Its bytes.
pub struct WebBody<'f> {
    /// All its bytes, where the server says how many they are.
    pub size: Option<u64>,
    /// They, from where they were asked for.
    pub read: Box<dyn Read + Send + 'f>,
}

impl<'a> WebFile<'a> {
    /// The file at an address, of `most` bytes at most. Nothing is asked before it is opened.
    pub fn new(client: Client<'a>, address: Address, most: u64) -> Self {
        Self { client, address, most }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its bytes from `at` on; none where it is not that long.
    pub fn get(&self, at: u64) -> Result<WebBody<'_>> {
        let request = Request::new(Method::Get, self.address.clone());
        let request = if at == 0 { request } else { request.with("Range", header::range(at, None)) };
        let errand = Errand { redirects: Redirects::Followed, ..Errand::new(self.address.site()) };
        let answer = self.client.call(&request, &errand, Payload::Empty)?;
        let range = header::content_range(&answer.head.headers);
        match (answer.head.status, range) {
            (200, _) => self.pass_over(answer, at),
            (206, Some(ContentRange::Part { first, size, .. })) if first == at => {
                self.bounded(size, at, answer.body)
            }
            (416, Some(ContentRange::Unsatisfied { size })) => {
                self.bounded(Some(size), at, Box::new(io::empty()))
            }
            (206 | 416, _) => Err(Error::WrongRange { address: self.address.clone(), at }.into()),
            _ => Err(refused(&request, answer)),
        }
    }

    /// A server that knows no ranges gives everything.
    fn pass_over<'f>(&'f self, answer: Answer<'f>, at: u64) -> Result<WebBody<'f>> {
        let size = header::content_length(&answer.head.headers);
        let mut body = self.bounded(size, 0, answer.body)?;
        let passed = io::copy(&mut body.read.by_ref().take(at), &mut io::sink());
        passed.map_err(|error| Fault::io(format!("read {}", self.address), error))?;
        Ok(body)
    }

    fn bounded<'f>(
        &'f self,
        size: Option<u64>,
        at: u64,
        read: Box<dyn Read + Send + 'f>,
    ) -> Result<WebBody<'f>> {
        if size.is_some_and(|size| size > self.most) {
            return Err(self.too_large().into());
        }
        let left = self.most.saturating_sub(at);
        Ok(WebBody { size, read: Box::new(Bounded { read, left, file: self }) })
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { address: self.address.clone(), limit: self.most }
    }
}

impl Origin for WebFile<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(self.get(at)?.read)
    }

    fn is_far(&self) -> bool {
        true
    }
}

/// What a server says when it does not give a file.
fn refused(request: &Request, answer: Answer<'_>) -> Fault {
    let mut said = Vec::new();
    // A text that does not come is no reason to say less.
    let _read = answer.body.take(orlop_spec::wire::failure::LONGEST as u64).read_to_end(&mut said);
    Failure::read(request, &answer.head, &said).into()
}

/// Ends with an error after the bytes that are allowed.
struct Bounded<'f, 'a> {
    read: Box<dyn Read + Send + 'f>,
    left: u64,
    file: &'f WebFile<'a>,
}

impl Read for Bounded<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| Fault::from(self.file.too_large()))?;
        Ok(count)
    }
}

/// A folder of the web, whose files are asked for by name: it cannot be listed.
#[derive(Clone)]
pub struct WebFolder<'a> {
    client: Client<'a>,
    address: Address,
    most: u64,
}

impl<'a> WebFolder<'a> {
    /// The folder at an address; each of its files has `most` bytes at most.
    pub fn new(client: Client<'a>, address: &Address, most: u64) -> Self {
        Self { client, address: address.as_folder(), most }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A file beneath it.
    ///
    /// # Panics
    /// When a part of the path is empty or made of dots: what comes from outside is parsed first.
    pub fn file(&self, path: &str) -> WebFile<'a> {
        let address = path.split('/').fold(self.address.clone(), |folder, part| folder.beneath(part));
        WebFile::new(self.client.clone(), address, self.most)
    }
}

/// Bytes that must have a digest, which is seen at their end.
pub struct Pinned<R> {
    read: R,
    hasher: Option<Hasher>,
    expected: Digest,
    what: Address,
}

impl<R: Read> Pinned<R> {
    /// `read`, which is what is at `what`, and must be `expected`.
    pub fn new(read: R, what: Address, expected: Digest) -> Self {
        Self { read, hasher: Some(Hasher::new(expected.algorithm())), expected, what }
    }

    /// Reads what is left, `most` bytes of it, and proves the whole.
    pub fn end(mut self, most: u64) -> Result<()> {
        let read = |error| Fault::io("read a file of the web", error);
        io::copy(&mut self.by_ref().take(most), &mut io::sink()).map_err(read)?;
        if self.read(&mut [0]).map_err(read)? > 0 {
            return Err(Error::TooLarge { address: self.what, limit: most }.into());
        }
        Ok(())
    }

    fn prove(&mut self) -> Result<(), Error> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found = hasher.finish();
        if found == self.expected {
            return Ok(());
        }
        let (expected, found) = (self.expected.into(), found.into());
        Err(Error::WrongFile { address: self.what.clone(), expected, found })
    }
}

impl<R: Read> Read for Pinned<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        if count > 0 {
            self.hasher.as_mut().into_iter().for_each(|hasher| hasher.update(&buffer[..count]));
        } else if !buffer.is_empty() {
            self.prove().map_err(Fault::from)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
