//! A folder on the web under TLS: Python's `http.server`, which knows no ranges.

use crate::authority::Authority;
use crate::peer::peer;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SERVER: &str = "
import functools, http.server, ssl, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=sys.argv[1]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

/// A folder on the web. It ends when it is dropped.
pub struct Web {
    daemon: Child,
    port: String,
}

impl Web {
    /// The folder, vouched for by `authority`; `None` where there is no Python.
    ///
    /// # Panics
    /// Where Python does not start.
    pub fn of(folder: &Path, authority: &Authority) -> Option<Self> {
        let mut daemon = Command::new(&peer("python3")?.path)
            .args(["-c", SERVER])
            .args([folder, &authority.path("site.pem"), &authority.path("site.key")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut port = String::new();
        let mut lines = BufReader::new(daemon.stdout.take().expect("a pipe"));
        lines.read_line(&mut port).expect("a port");
        Some(Self { daemon, port: port.trim().into() })
    }

    /// The address of what lies at a path of the folder.
    pub fn at(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _gone = self.daemon.kill();
        let _reaped = self.daemon.wait();
    }
}
