//! HTTP to a cluster's own addresses, and routes that let nothing else out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::command;

/// Fetches `/` and answers with the body; the deadline holds for each step.
pub fn get(address: SocketAddr, within: Duration) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, within)
        .with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    stream.write_all(
        format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream
        .take(1 << 20)
        .read_to_end(&mut answer)
        .with_context(|| format!("read from {address}"))?;
    body(&String::from_utf8_lossy(&answer)).with_context(|| format!("the answer of {address}"))
}

/// The body of an HTTP answer of status 200.
fn body(answer: &str) -> anyhow::Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").context("it has no head")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "200", "its status is {status}: {body}");
    Ok(body.to_owned())
}

/// Routes of the host that drop packets to service and pod addresses, removed at the end.
///
/// The host is no node: such a packet would follow its default route out of the machine.
pub struct Blackholes(Vec<&'static str>);

impl Blackholes {
    /// Adds the routes that are not there yet; does nothing without root, who else cannot.
    pub fn add() -> Blackholes {
        let added = ["10.96.0.0/16", "10.244.0.0/16"]
            .into_iter()
            .filter(|network| route("add", network))
            .collect();
        Blackholes(added)
    }
}

impl Drop for Blackholes {
    fn drop(&mut self) {
        for network in &self.0 {
            route("del", network);
        }
    }
}

fn route(action: &str, network: &str) -> bool {
    nix::unistd::geteuid().is_root()
        && command::run(
            Command::new("ip").args(["route", action, "blackhole", network]),
            "",
            Duration::from_secs(5),
        )
        .is_ok_and(|output| output.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_body_of_status_200_is_an_answer() {
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello\n").unwrap(),
            "hello\n"
        );
        assert!(body("HTTP/1.1 503 Bad\r\n\r\nno").is_err());
        assert!(body("garbage").is_err());
    }
}
