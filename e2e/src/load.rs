//! Steady requests to a port of some nodes: over new connections and over kept ones, with every loss recorded.
//!
//! ```text
//! new    connect, ask, read the answer, close                                   each request
//! kept   ask, read the answer, ask, …                                           until the server says `Connection: close`
//!        closed between two requests: open another and ask again, as HTTP has it (RFC 9112, 9.3.1): no loss
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

/// How long a request may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Ends even when nobody stops it.
const LONGEST: Duration = Duration::from_secs(600);

/// What kind of connection a request used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One of its own.
    New,
    /// One that is kept.
    Kept,
}

/// What became of the requests of one kind.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Those that were answered with status 200.
    pub answered: usize,
    /// Why others were not, and when, counted from the start.
    pub lost: Vec<(Duration, String)>,
    /// How often a kept connection had been closed between two requests.
    pub reopened: usize,
    /// Who answered.
    pub answers: BTreeSet<String>,
    /// The slowest answer.
    pub slowest: Duration,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.answered += other.answered;
        self.lost.extend(other.lost);
        self.reopened += other.reopened;
        self.answers.extend(other.answers);
        self.slowest = self.slowest.max(other.slowest);
    }

    /// All requests.
    pub fn requests(&self) -> usize {
        self.answered + self.lost.len()
    }
}

/// Requests that go on until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    asking: Vec<(Kind, JoinHandle<Tally>)>,
}

impl Load {
    /// Asks every target over new and over kept connections, one request in each `pause` from each.
    pub fn start(targets: &[SocketAddr], pause: Duration) -> Load {
        let (stop, requests) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let begin = Instant::now();
        let ask = |kind, target| {
            let (stop, requests) = (stop.clone(), requests.clone());
            let ask = move || asking(kind, target, pause, begin, &stop, &requests);
            (kind, thread::spawn(ask))
        };
        let kinds = [Kind::New, Kind::Kept].into_iter();
        let asking = kinds.flat_map(|kind| targets.iter().map(move |target| (kind, *target)));
        Load {
            asking: asking.map(|(kind, target)| ask(kind, target)).collect(),
            stop,
            requests,
        }
    }

    /// How many requests there were until now.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Ends the requests; says what became of them.
    pub fn end(self) -> anyhow::Result<BTreeMap<Kind, Tally>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut tallies = BTreeMap::<Kind, Tally>::new();
        for (kind, asking) in self.asking {
            let tally = asking
                .join()
                .map_err(|_| anyhow!("the requests panicked"))?;
            tallies.entry(kind).or_default().add(tally);
        }
        Ok(tallies)
    }
}

fn asking(
    kind: Kind,
    target: SocketAddr,
    pause: Duration,
    begin: Instant,
    stop: &AtomicBool,
    requests: &AtomicUsize,
) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) && begin.elapsed() < LONGEST {
        let asked = Instant::now();
        match request(kind, target, &mut kept, &mut tally.reopened) {
            Ok(answer) => {
                tally.answered += 1;
                tally.slowest = tally.slowest.max(asked.elapsed());
                tally.answers.insert(answer);
            }
            Err(error) => {
                let lost = format!("{target}: {error:#}");
                tally.lost.push((asked.duration_since(begin), lost));
            }
        }
        requests.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause.saturating_sub(asked.elapsed()));
    }
    tally
}

fn request(
    kind: Kind,
    target: SocketAddr,
    kept: &mut Option<TcpStream>,
    reopened: &mut usize,
) -> anyhow::Result<String> {
    let keep = kind == Kind::Kept;
    if let Some(mut stream) = kept.take() {
        match ask(&mut stream, target, keep) {
            Asked::Answered(answer, goes_on) => {
                *kept = goes_on.then_some(stream);
                return Ok(answer);
            }
            // The server may close a connection that is idle at any time.
            Asked::Closed => *reopened += 1,
            Asked::Broken(error) => return Err(error),
        }
    }
    let mut stream = TcpStream::connect_timeout(&target, WITHIN).context("connect")?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    stream.set_nodelay(true)?;
    match ask(&mut stream, target, keep) {
        Asked::Answered(answer, goes_on) => {
            *kept = (keep && goes_on).then_some(stream);
            Ok(answer)
        }
        Asked::Closed => bail!("closed without an answer"),
        Asked::Broken(error) => Err(error),
    }
}

enum Asked {
    /// The body, and whether the connection goes on.
    Answered(String, bool),
    /// The connection ended before anything of an answer came.
    Closed,
    /// Anything else.
    Broken(anyhow::Error),
}

fn ask(stream: &mut TcpStream, target: SocketAddr, keep: bool) -> Asked {
    let connection = if keep { "keep-alive" } else { "close" };
    let request = format!("GET / HTTP/1.1\r\nHost: {target}\r\nConnection: {connection}\r\n\r\n");
    let mut received = Vec::new();
    match stream
        .write_all(request.as_bytes())
        .and_then(|()| read(stream, &mut received))
    {
        Ok(()) => match parse(&received) {
            Ok((answer, goes_on)) => Asked::Answered(answer, goes_on),
            Err(error) => Asked::Broken(error),
        },
        Err(error) if received.is_empty() && is_closed(&error) => Asked::Closed,
        Err(error) => Asked::Broken(anyhow!(error).context("ask")),
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Reads one whole answer.
fn read(stream: &mut TcpStream, received: &mut Vec<u8>) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while !is_whole(received) {
        match stream.read(&mut bytes)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => received.extend_from_slice(&bytes[..length]),
        }
    }
    Ok(())
}

fn head_and_body(received: &[u8]) -> Option<(String, &[u8])> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    Some((head, &received[end + 4..]))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.trim())
}

fn is_whole(received: &[u8]) -> bool {
    head_and_body(received).is_some_and(|(head, body)| {
        let length = header(&head, "content-length").and_then(|text| text.parse().ok());
        body.len() >= length.unwrap_or(0)
    })
}

/// The body, and whether the connection goes on.
fn parse(received: &[u8]) -> anyhow::Result<(String, bool)> {
    let (head, body) = head_and_body(received).context("no head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    anyhow::ensure!(status == "200", "status {status}");
    let goes_on = header(&head, "connection") != Some("close");
    Ok((String::from_utf8_lossy(body).trim().to_owned(), goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        for (text, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", false),
            ("HTTP/1.1 204 None\r\n\r\n", true),
        ] {
            assert_eq!(is_whole(text.as_bytes()), whole, "{text}");
        }
        let answer = parse(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(answer.unwrap(), ("abc".to_owned(), false));
        assert!(parse(b"HTTP/1.1 503 No\r\n\r\n").is_err());
    }

    /// A server that answers some requests of each connection and then closes it.
    fn server(requests: usize, says_so: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut bytes = [0; 1024];
                for left in (0..requests).rev() {
                    let Ok(1..) = stream.read(&mut bytes) else {
                        break;
                    };
                    let close = if left == 0 && says_so {
                        "Connection: close\r\n"
                    } else {
                        ""
                    };
                    let answer = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 1\r\n\r\na");
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        });
        address
    }

    #[test]
    fn a_connection_closed_between_requests_is_opened_again_and_no_loss() {
        for (says_so, reopens) in [(true, false), (false, true)] {
            let load = Load::start(&[server(3, says_so)], Duration::from_millis(1));
            let begin = Instant::now();
            while load.requests() < 40 && begin.elapsed() < WITHIN {
                thread::sleep(Duration::from_millis(5));
            }
            let tallies = load.end().unwrap();
            for tally in tallies.values() {
                assert!(tally.lost.is_empty() && tally.answered > 5, "{tally:?}");
            }
            assert_eq!(tallies[&Kind::Kept].reopened > 0, reopens);
        }
    }

    #[test]
    fn what_is_refused_or_never_answered_is_lost() {
        let nobody = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let load = Load::start(&[nobody], Duration::from_millis(1));
        thread::sleep(Duration::from_millis(50));
        let tallies = load.end().unwrap();
        assert!(
            tallies
                .values()
                .all(|tally| tally.answered == 0 && !tally.lost.is_empty())
        );
    }
}
