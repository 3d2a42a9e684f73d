use super::{Client, Errand, Options, Payload};
use crate::exchange::Answer;
use crate::loopback::{Loopback, Plain, answer};
use crate::pool::Pool;
use orlop_spec::port::Result;
use orlop_spec::wire::{Method, Request};
use orlop_spec::{Cancel, Context, Event, Fault, Limits, Observer};
use std::io::Read;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

#[derive(Default)]
struct World {
    cancel: Cancel,
    limits: Limits,
    seen: Seen,
    ports: Plain,
    pool: Pool,
}

/// Keeps every event.
#[derive(Default)]
struct Seen(Mutex<Vec<Event>>);

impl Observer for Seen {
    fn event(&self, event: Event) {
        self.0.lock().expect("no test panics with it").push(event);
    }
}

impl World {
    fn client(&self) -> Client<'_> {
        let cx = Context {
            observer: &self.seen,
            cancel: &self.cancel,
            limits: &self.limits,
            workers: NonZeroUsize::MIN,
        };
        let options = Options { stall: Duration::from_millis(1500), ..Options::default() };
        Client::new(cx, self.ports.network(), &self.pool, options)
    }

    fn events(&self) -> Vec<Event> {
        self.seen.0.lock().expect("no test panics with it").clone()
    }
}

fn read(mut answer: Answer<'_>) -> Result<(u16, Vec<u8>)> {
    let mut body = Vec::new();
    answer.body.read_to_end(&mut body).map_err(|error| Fault::io("read the body", error))?;
    Ok((answer.head.status, body))
}

#[test]
fn item_212_a_warning_is_shown_once() {
    let warning = "HTTP/1.1 200 OK\r\nWarning: 299 - \"old\"\r\nContent-Length: 0\r\n\r\n";
    let server = Loopback::answering(move |_, _| warning.into());
    let world = World::default();
    for _ in 0..3 {
        let address = server.at("/");
        let request = Request::new(Method::Get, address.clone());
        let answer =
            world.client().call(&request, &Errand::new(address.site()), Payload::Empty).and_then(read);
        assert_eq!(answer.expect("an answer").0, 200);
    }
    let text = format!("http://{} says: old", server.socket());
    assert_eq!(world.events(), [Event::Warned(text)]);
}

#[test]
fn a_part_of_a_blob_is_what_is_sent() {
    let server = Loopback::answering(|_, _| answer("201 Created", ""));
    let world = World::default();
    let blob = b"0123456789".to_vec();
    let address = server.at("/");
    let request = Request::new(Method::Put, address.clone());
    let payload = Payload::Part { origin: &blob, at: 3, size: 4 };
    let answer = world.client().call(&request, &Errand::new(address.site()), payload).and_then(read);
    assert_eq!(answer.expect("an answer").0, 201);
    assert!(server.heads()[0].contains("Content-Length: 4\r\n"));
}
