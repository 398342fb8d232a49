//! The metrics over HTTP, for collectors: one request at a time, each bounded in size and time.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use ppp_wire::causes::chain;

use crate::{console::Console, error::Error, interrupt};

/// Bytes of a request; what collectors send is far shorter.
const MAX_REQUEST: usize = 8 * 1024;
/// Time that a collector has to send its request, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who asks again within this time gets the same answer: nobody can make the server busy over this listener.
const FRESH: Duration = Duration::from_secs(1);
/// Time between two looks whether there is an interrupt.
const LOOK: Duration = Duration::from_millis(50);
/// What the answer is.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl Listen {
    /// Serves `GET /metrics` until Ctrl-C.
    pub(crate) fn run(self, console: &mut Console, out: &mut dyn Write) -> Result<(), Error> {
        let _hold = interrupt::hold().map_err(Error::Listen)?;
        let listener = TcpListener::bind(self.0).map_err(Error::Listen)?;
        listener.set_nonblocking(true).map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        writeln!(out, "metrics on http://{address}/metrics")
            .and_then(|()| out.flush())
            .map_err(Error::Output)?;
        let mut known: Option<(Instant, String)> = None;
        loop {
            match listener.accept() {
                // A collector that goes away in the middle will come again.
                Ok((stream, _)) => _ = answer(stream, || fresh(&mut known, console)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let interrupt::Woken::Interrupted = interrupt::wait(LOOK).map_err(Error::Listen)? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(Error::Listen(error)),
            }
        }
    }
}

/// The text of the last second, or a new one.
fn fresh(known: &mut Option<(Instant, String)>, console: &mut Console) -> Result<String, Error> {
    if let Some((at, text)) = known
        && at.elapsed() < FRESH
    {
        return Ok(text.clone());
    }
    let text = super::text(console)?;
    *known = Some((Instant::now(), text.clone()));
    Ok(text)
}

fn answer(mut stream: TcpStream, text: impl FnOnce() -> Result<String, Error>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, body) = match read_request(&mut stream)?.as_deref() {
        Some("GET /metrics" | "GET /") => match text() {
            Ok(text) => ("200 OK", text),
            Err(error) => ("503 Service Unavailable", format!("{}\n", chain(&error))),
        },
        Some(request) if request.starts_with("GET ") => {
            ("404 Not Found", "the metrics are at /metrics\n".to_owned())
        }
        Some(_) => ("405 Method Not Allowed", "only GET\n".to_owned()),
        None => ("400 Bad Request", "no request of HTTP/1\n".to_owned()),
    };
    let kind = if status.starts_with("200") { CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// Method and path, without the query, of a request whose head has been read whole; `None` if it is none.
fn read_request(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let deadline = Instant::now() + PATIENCE;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() || request.len() > MAX_REQUEST {
            return Ok(None);
        }
        stream.set_read_timeout(Some(remaining))?;
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            count => request.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Ok(None) };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let path = target.split('?').next().unwrap_or_default();
    Ok(version.starts_with("HTTP/1.").then(|| format!("{method} {path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of these bytes.
    fn ask(bytes: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = bytes.to_vec();
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(&bytes);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        });
        let _ = answer(listener.accept().unwrap().0, || Ok("# EOF\n".to_owned()));
        client.join().unwrap()
    }

    #[test]
    fn requests_and_what_is_none() {
        let good = ask(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(good.starts_with("HTTP/1.1 200 OK\r\n") && good.ends_with("\r\n\r\n# EOF\n"), "{good}");
        assert!(good.contains(CONTENT_TYPE) && good.contains("Content-Length: 6\r\n"), "{good}");
        for (bytes, status) in [
            (&b"GET /other HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"\xff\xfe / HTTP/1.1\r\n\r\n", "400"),
        ] {
            assert!(ask(bytes).starts_with(&format!("HTTP/1.1 {status} ")), "{bytes:?}");
        }
    }

    #[test]
    fn a_collector_that_is_slow_or_endless_is_hung_up_on() {
        let before = Instant::now();
        assert!(!ask(b"GET /metr").contains("200"));
        assert!(before.elapsed() >= PATIENCE);
        assert!(!ask(&[b'a'; MAX_REQUEST * 8]).contains("200"));
    }
}
