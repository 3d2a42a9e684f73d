//! What clients may cost.

use super::*;
use std::time::Instant;

fn quick() -> Options {
    let moment = Duration::from_millis(200);
    Options { connections: 4, head: moment, idle: moment * 2, stall: moment, leave: moment }
}

fn served(options: &Options, work: impl FnOnce(SocketAddr, &Images)) -> Vec<String> {
    let images = Images::new();
    serving(&images.offer(), None, options, |address| work(address, &images))
}

#[test]
fn a_connection_carries_many_requests_until_it_is_told_to_end() {
    served(&Options::default(), |address, _| {
        let mut stream = connect(address);
        for _ in 0..50 {
            assert_eq!(ask_on(&mut stream, "GET", "/v2/team/app/manifests/1", "").status, 200);
            assert_eq!(ask_on(&mut stream, "HEAD", "/v2/team/app/manifests/1", "").status, 200);
            assert_eq!(ask_on(&mut stream, "GET", "/nothing", "").status, 404);
        }
        let last = ask_on(&mut stream, "GET", "/v2/", "Connection: close\r\n");
        assert_eq!(last.header("Connection"), "close");
        assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
    });
}

#[test]
fn n12_a_head_that_does_not_come_ends_the_connection() {
    served(&quick(), |address, _| {
        let began = Instant::now();
        let mut slow = connect(address);
        slow.get_mut().write_all(b"GET /v2/ HTTP/1.1\r\n").expect("it reads");
        // A byte now and then does not make it last.
        for _ in 0..10 {
            if slow.get_mut().write_all(b"X").is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        assert_eq!(receive(&mut slow, "GET").status, 408);
        let mut idle = connect(address);
        assert_eq!(idle.read(&mut [0]).expect("an end"), 0);
        assert!(began.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn n12_a_head_without_an_end_is_refused() {
    served(&Options::default(), |address, _| {
        let mut stream = connect(address);
        let piece = vec![b'x'; 64 << 10];
        stream
            .get_mut()
            .write_all(b"GET /")
            .and_then(|()| stream.get_mut().write_all(&piece))
            .expect("it reads");
        let got = receive(&mut stream, "GET");
        assert_eq!((got.status, got.header("Connection")), (431, "close"));
    });
}

#[test]
fn a_body_that_nobody_wants_does_not_hide_the_refusal() {
    served(&Options::default(), |address, _| {
        let mut stream = connect(address);
        let head = "PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n";
        stream.get_mut().write_all(head.as_bytes()).expect("it reads");
        stream.get_mut().write_all(&vec![b'y'; 65536]).expect("it is taken");
        let got = receive(&mut stream, "PUT");
        assert_eq!((got.status, got.header("Connection")), (405, "close"));
        assert_eq!(stream.read(&mut [0]).expect("an end, and no second answer"), 0);
    });
}

#[test]
fn who_comes_beyond_the_number_is_told_to_come_again() {
    served(&Options { connections: 4, ..Options::default() }, |address, _| {
        let mut guests: Vec<_> = (0..4).map(|_| connect(address)).collect();
        for guest in &mut guests {
            assert_eq!(ask_on(guest, "GET", "/v2/", "").status, 200);
        }
        let mut fifth = connect(address);
        let got = receive(&mut fifth, "GET");
        assert_eq!((got.status, got.header("Retry-After")), (503, "1"));
        // One who asked already reads the same, and then an end, not a connection that is reset.
        let mut sixth = connect(address);
        sixth.get_mut().write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
        let mut all = Vec::new();
        sixth.read_to_end(&mut all).expect("a clean end");
        assert!(all.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&all));
        drop(guests.pop());
        let end = Instant::now() + Duration::from_secs(10);
        while ask(address, "GET", "/v2/", "").status != 200 {
            assert!(Instant::now() < end, "the place of who left is free again");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn a_crowd_that_says_nothing_does_not_hold_up_the_door() {
    const CROWD: u32 = 120;
    served(&Options { connections: 1, ..Options::default() }, |address, _| {
        let mut guest = connect(address);
        assert_eq!(ask_on(&mut guest, "GET", "/v2/", "").status, 200);
        let began = Instant::now();
        let crowd: Vec<_> = (0..CROWD).map(|_| connect(address)).collect();
        drop(guest);
        let mut last = connect(address);
        last.get_mut().write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
        // Whether it is let in or shut out: it is not kept waiting for those before it.
        let _answered = last.read(&mut [0; 100]);
        assert!(began.elapsed() < CROWD * Duration::from_millis(20), "{:?}", began.elapsed());
        drop(crowd);
    });
}

#[test]
fn a_server_that_ends_waits_for_nobody_idle_and_frees_its_port() {
    let mut bound = None;
    let began = Instant::now();
    let mut idle = None;
    served(&Options::default(), |address, _| {
        let mut stream = connect(address);
        assert_eq!(ask_on(&mut stream, "GET", "/v2/", "").status, 200);
        (bound, idle) = (Some(address), Some(stream));
    });
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(idle.expect("connected").read(&mut [0]).expect("an end"), 0);
    let address = bound.expect("it ran");
    assert!(Server::bind(address).is_ok() || TcpStream::connect(address).is_err());
}

#[test]
fn an_address_that_is_taken_is_named() {
    let first = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("free ports");
    let error = Server::bind(first.address()).expect_err("taken");
    assert!(error.to_string().contains(&first.address().to_string()), "{error}");
}
