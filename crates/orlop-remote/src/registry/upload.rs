//! Uploads, driven: the machine of [`orlop_spec::wire::upload`] says what is next, this sends it.
//!
//! Invariant: an upload that comes to nothing is given up, so that the registry need not keep it (item 215), also where
//! the user stopped it; one that was broken off after a chunk stays, in the journal, for the next run. Nothing is closed
//! before all bytes were seen to be the blob.

use super::doors::{Ask, Door, PUSH, Told};
use super::noting::Noting;
use super::outgoing::Outgoing;
use super::push::{Push, is_called};
use crate::client::{Payload, Repeat};
use crate::retry::{self, Budget, Trouble};
use orlop_spec::network::{self, UploadKey};
use orlop_spec::port::{Lender, Origin, Put, Result};
use orlop_spec::wire::upload::{Next, Pieces, Upload};
use orlop_spec::wire::{Address, Head, Headers, Method, Place, Request};
use orlop_spec::{Cancel, Descriptor, Event, Fault, Kind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

impl Push<'_> {
    /// Makes the repository hold a blob that it does not hold: it is borrowed, or sent.
    pub(super) fn upload(&self, door: &Door, blob: &Descriptor, origin: &dyn Origin) -> Result<Put> {
        let left = self.left(door, blob);
        let course = self.course(blob).after(left.as_ref().map_or(0, |left| left.sent));
        let outgoing = Outgoing::new(origin, blob, course);
        let lenders = self.lenders(door, blob, &origin.lenders());
        let is_noted = AtomicBool::new(left.is_some());
        let trip = Trip { push: self, door, blob, outgoing: &outgoing, lenders, left, is_noted };
        let sent = trip.go();
        let again = outgoing.course().again();
        if again > 0 {
            let (what, why) = (blob.digest.to_string(), "its upload broke off".into());
            self.doors.client.context().observer.event(Event::Retried { what, why, again });
        }
        sent
    }

    /// What an earlier run left of an upload of the blob.
    fn left(&self, door: &Door, blob: &Descriptor) -> Option<network::Upload> {
        self.doors.client.network().journal.upload(&key(door, blob)?)
    }

    /// Other repositories of the registry that should hold the blob: that it comes from first, then those of earlier
    /// pushes.
    fn lenders(&self, door: &Door, blob: &Descriptor, named: &[Lender]) -> Vec<Box<str>> {
        let Some(site) = door.site() else { return Vec::new() };
        let named =
            named.iter().filter(|lender| lender.site == *site).map(|lender| lender.repository.clone());
        let known = self.doors.client.network().journal.holders(site, &blob.digest);
        let mut lenders: Vec<Box<str>> = Vec::new();
        for name in named.chain(known) {
            if lenders.len() < MOST_LENDERS && *name != *door.repository() && !lenders.contains(&name) {
                lenders.push(name);
            }
        }
        lenders
    }
}

/// Each that does not lend costs two questions.
const MOST_LENDERS: usize = 3;
/// How long it may take to give an upload up that the user stopped.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// By what the journal knows an upload.
fn key(door: &Door, blob: &Descriptor) -> Option<UploadKey> {
    let (site, repository) = (door.site()?.clone(), door.repository().into());
    Some(UploadKey { site, repository, blob: blob.digest.clone() })
}

/// One blob on its way.
struct Trip<'t> {
    push: &'t Push<'t>,
    door: &'t Door,
    blob: &'t Descriptor,
    outgoing: &'t Outgoing<'t>,
    lenders: Vec<Box<str>>,
    left: Option<network::Upload>,
    /// Whether the journal knows of it.
    is_noted: AtomicBool,
}

impl Trip<'_> {
    fn go(&self) -> Result<Put> {
        // What has no bytes is sent by closing an upload, which reads nothing.
        if self.blob.size == 0 {
            self.prove()?;
        }
        let mut upload = self.begin()?;
        let sent = self.drive(&mut upload);
        match &sent {
            Ok(_) => self.note(None),
            Err(fault) => self.ended(&upload, fault),
        }
        sent
    }

    /// A new upload, or the one of an earlier run.
    fn begin(&self) -> Result<Upload> {
        let pieces = if self.is_cut() { Pieces::Chunks(self.chunk()) } else { Pieces::One };
        let place = self.door.place()?;
        let (digest, size) = (self.blob.digest.clone(), self.blob.size);
        let upload = Upload::new(place, digest, size, pieces, &self.lenders);
        Ok(match (pieces, &self.left) {
            (Pieces::Chunks(_), Some(left)) => upload.resumed(left.clone()),
            _ => upload,
        })
    }

    fn drive(&self, upload: &mut Upload) -> Result<Put> {
        let mut budget = Budget::new();
        // Why it did not go on: a look whether the blob is there only finds that it is not.
        let mut last: Option<Fault> = None;
        loop {
            let before = upload.acknowledged();
            let next = match self.step(upload) {
                Ok((told, Next::Failed)) => {
                    let was_looking = told.request.method == Method::Head;
                    return Err(last.filter(|_| was_looking).unwrap_or_else(|| told.failure().into()));
                }
                Ok((told, next)) if told.head().is_success() || told.request.method == Method::Head => {
                    let (address, head) = told.drained();
                    if matches!(next, Next::Uploaded | Next::Mounted) {
                        is_called(&address, &head, &self.blob.digest)?;
                    }
                    next
                }
                Ok((told, next)) => {
                    let (address, head) = (told.address().clone(), told.head().clone());
                    last = Some(told.failure().into());
                    let now = (self.push.doors.client.network().clock)();
                    self.wait(&mut budget, retry::trouble_in(&head, now), &address, Some(&head))?;
                    next
                }
                Err(fault) => {
                    let address = upload.ask().request.address;
                    let next = self.recover(upload, &fault)?;
                    if next == Next::Failed {
                        return Err(fault);
                    }
                    self.wait(&mut budget, retry::trouble_of(&fault), &address, None)?;
                    last = Some(fault);
                    next
                }
            };
            if upload.acknowledged() > before {
                budget.restore();
            }
            if next == Next::Ask && self.is_cut() {
                self.note(upload.to_resume(self.outgoing.course().reached()).as_ref());
            }
            match next {
                Next::Mounted => return Ok(Put::Mounted),
                Next::Uploaded => return Ok(Put::Copied),
                _ => {}
            }
        }
    }

    /// Asks what is next, and tells the answer.
    fn step(&self, upload: &mut Upload) -> Result<(Told<'_>, Next)> {
        let next = upload.ask();
        if next.request.method == Method::Put && next.body.is_empty() {
            self.prove()?;
        }
        let request = |_: &Place| -> Result<Request> { Ok(next.request.clone()) };
        let (at, size) = (next.body.start, next.body.end - next.body.start);
        let note =
            |sent: u64| self.note(upload.to_resume(sent.max(self.outgoing.course().reached())).as_ref());
        let noting = Noting { inner: self.outgoing, note: &note };
        let payload = match size {
            0 => Payload::Empty,
            size => Payload::Part { origin: &noting, at, size },
        };
        // What carries bytes is looked at before it is sent again; a beginning too many costs nothing.
        let repeat = match next.request.method {
            Method::Put | Method::Patch | Method::Delete => Repeat::Never,
            _ => Repeat::Safe,
        };
        let ask = Ask { payload, repeat, lender: upload.lender(), ..Ask::new(PUSH, &request) };
        let told = self.push.doors.ask(self.door, &ask)?;
        let next = upload.answered(told.head())?;
        Ok((told, next))
    }

    /// What follows when no answer came; an error where that is the end for a reason of its own.
    fn recover(&self, upload: &mut Upload, fault: &Fault) -> Result<Next> {
        if let Some(own) = self.outgoing.fault() {
            return Err(own);
        }
        match fault.kind() {
            // No token is given for the other repository: then it does not lend.
            Kind::Denied if upload.is_asking_a_favour() => {
                let refused = Head { status: 403, headers: Headers::default() };
                Ok(upload.answered(&refused)?)
            }
            Kind::Unreachable => Ok(upload.broke()),
            _ => Ok(Next::Failed),
        }
    }

    /// Gives the registry time to recover; how often, the machine of the upload decides.
    fn wait(
        &self,
        budget: &mut Budget,
        trouble: Option<Trouble>,
        address: &Address,
        head: Option<&Head>,
    ) -> Result<()> {
        let client = &self.push.doors.client;
        let Some(trouble) = trouble else { return Ok(()) };
        match budget.spend(&trouble, client.options(), address, head)? {
            Some(time) => retry::pause(client.context(), address, &trouble, time),
            None => Ok(()),
        }
    }

    fn prove(&self) -> Result<()> {
        self.outgoing.prove_whole().map_err(|fault| self.outgoing.fault().unwrap_or(fault))
    }

    /// An upload that was broken off stays for the next run; any other is given up.
    fn ended(&self, upload: &Upload, fault: &Fault) {
        let is_broken = matches!(fault.kind(), Kind::Unreachable | Kind::Interrupted);
        if is_broken && self.is_cut() && upload.acknowledged() > 0 {
            return;
        }
        // What was sent in vain, the next run tells.
        if !is_broken {
            self.note(None);
        }
        if let Some(request) = upload.cancel() {
            self.give_up(&request);
        }
    }

    /// Tells the registry, at once or not at all: it gives an upload up by itself after some time.
    fn give_up(&self, request: &Request) {
        let cancel = Cancel::new();
        let client = self.push.doors.client.for_a_last_word(&cancel, LAST_WORDS);
        let (said, is_said) = mpsc::channel::<()>();
        let (flag, request) = (&cancel, |_: &Place| Ok(request.clone()));
        thread::scope(|threads| {
            threads.spawn(move || {
                if is_said.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
                    flag.set();
                }
            });
            if let Ok(told) = self.door.ask(&client, &Ask::new(PUSH, &request)) {
                told.drained();
            }
            drop(said);
        });
    }

    /// Writes into the journal where the upload stands, or that there is none; small blobs leave no trace there.
    fn note(&self, upload: Option<&network::Upload>) {
        let was_noted = self.is_noted.swap(upload.is_some(), Ordering::Relaxed);
        if let Some(key) = key(self.door, self.blob).filter(|_| was_noted || upload.is_some()) {
            self.push.doors.client.network().journal.note_upload(&key, upload);
        }
    }

    fn is_cut(&self) -> bool {
        self.blob.size > self.chunk()
    }

    fn chunk(&self) -> u64 {
        self.push.doors.client.options().chunk
    }
}
