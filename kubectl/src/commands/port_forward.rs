//! `kubectl port-forward`: each connection to a local port is a stream of its own to the pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::BytesMut;
use ferrule_apimachinery::status::Status;
use ferrule_client::client::{WatchOptions, status_of};
use ferrule_client::{At, Client};
use ferrule_proto::v1::connect_request::Frame as Input;
use ferrule_proto::v1::connect_response::Frame;
use ferrule_proto::v1::{CloseStdin, ConnectRequest, EventType};
use futures::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::ports::{self, Pair};
use super::{pods, print, warn};
use crate::args::PortForwardArgs;
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// Read from a connection at once.
const CHUNK: usize = 64 * 1024;

/// Runs the command, until it is interrupted or the pod is gone.
pub async fn run(session: &Session, args: &PortForwardArgs) -> Result<()> {
    let [word, pairs @ ..] = args.words.as_slice() else {
        return Err(usage());
    };
    if pairs.is_empty() {
        return Err(usage());
    }
    let running = pods::limit(&args.running, "port-forward")?;
    let named = pods::named(session, std::slice::from_ref(word), None).await?;
    let pod = pods::attachable(session, &named, running).await?;
    let service = (named.resource.kind == "Service").then_some(&named.object);
    let pairs = ports::resolve(pairs, service, &pod)?;
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if phase != "Running" {
        return Err(Error::local(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    }
    let addresses = addresses(&args.address)?;
    let pairs = pairs
        .iter()
        .map(|pair| Pair::read(pair))
        .collect::<Result<Vec<_>>>()?;
    let resource = session.resources().await?.find("pods")?;
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    let place = at(resource, text("namespace"));
    let (failed, mut failures) = mpsc::channel(1);
    let mut listening = false;
    for pair in &pairs {
        match listen(&addresses, *pair).await {
            Ok(listeners) => {
                listening = true;
                for (listener, pair) in listeners {
                    let forward = Forward {
                        client: session.client.clone(),
                        place: place.clone().name(text("name")).subresource("portforward"),
                        pair,
                    };
                    tokio::spawn(forward.accept(listener, failed.clone()));
                }
            }
            Err(why) => warn(&format!("Unable to listen on port {}: {why}", pair.local)),
        }
    }
    if !listening {
        let shown: Vec<String> = pairs.iter().map(Pair::shown).collect();
        return Err(Error::local(format!(
            "unable to listen on any of the requested ports: [{}]",
            shown.join(" ")
        )));
    }
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = failures.recv() => Err(lost()),
        () = until_gone(session, &place, &pod) => Err(lost()),
    }
}

fn usage() -> Error {
    Error::usage(
        "port-forward",
        "TYPE/NAME and list of ports are required for port-forward",
    )
}

fn lost() -> Error {
    Error::local("lost connection to pod")
}

/// Waits until the pod has ended, or another one bears its name.
async fn until_gone(session: &Session, place: &At, pod: &Value) {
    let uid = &pod["metadata"]["uid"];
    let options = WatchOptions {
        field_selector: format!("metadata.name={}", pods::name(&pod["metadata"])),
        send_initial_events: true,
        ..WatchOptions::default()
    };
    loop {
        if let Ok(mut batches) = session.client.watch(place, &options).await {
            let mut there = false;
            while let Some(Ok(batch)) = batches.next().await {
                for change in &batch.changes {
                    let now: Value = serde_json::from_slice(&change.object).unwrap_or_default();
                    let ended = matches!(
                        now["status"]["phase"].as_str(),
                        Some("Succeeded" | "Failed")
                    );
                    if change.kind == EventType::EventDeleted
                        || now["metadata"]["uid"] != *uid
                        || ended
                    {
                        return;
                    }
                    there = true;
                }
                if batch.initial_events_end && !there {
                    return;
                }
            }
        }
        // The server is away: the connections that stand may well go on.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    ip: IpAddr,
    /// It is enough when one of these can be listened on.
    local: bool,
}

/// The addresses of the flag, in the order of their texts.
fn addresses(texts: &[String]) -> Result<Vec<Address>> {
    let mut found: Vec<Address> = Vec::new();
    let mut add = |ip: IpAddr, local: bool| {
        if !found.iter().any(|own| own.ip == ip) {
            found.push(Address { ip, local });
        }
    };
    for text in texts {
        if text == "localhost" {
            add(Ipv4Addr::LOCALHOST.into(), true);
            add(Ipv6Addr::LOCALHOST.into(), true);
            continue;
        }
        let ip = text.parse();
        let ip = ip.map_err(|_| Error::local(format!("{text} is not a valid IP")))?;
        add(ip, false);
    }
    found.sort_by_key(|own| own.ip.to_string());
    Ok(found)
}

/// Listens on a port of all addresses; a port that is chosen at random is the same on all.
async fn listen(
    addresses: &[Address],
    mut pair: Pair,
) -> std::result::Result<Vec<(TcpListener, Pair)>, String> {
    let (mut listeners, mut refused, mut failed) = (Vec::new(), Vec::new(), false);
    for address in addresses {
        match TcpListener::bind((address.ip, pair.local)).await {
            Ok(listener) => {
                let own = listener.local_addr();
                pair.local = own.map_or(pair.local, |own| own.port());
                let shown = SocketAddr::new(address.ip, pair.local);
                let _ = print(&format!("Forwarding from {shown} -> {}\n", pair.remote));
                listeners.push((listener, pair));
            }
            Err(error) => {
                let family = if address.ip.is_ipv4() { "tcp4" } else { "tcp6" };
                let shown = SocketAddr::new(address.ip, pair.local);
                refused.push(format!(
                    "unable to create listener: Error listen {family} {shown}: bind: {}",
                    go(&error)
                ));
                failed |= !address.local;
            }
        }
    }
    let no_local = addresses.iter().any(|own| own.local) && listeners.is_empty();
    if failed || no_local {
        return Err(format!(
            "Listeners failed to create with the following errors: [{}]",
            refused.join(" ")
        ));
    }
    Ok(listeners)
}

/// As Go words what the system refuses.
fn go(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        _ => crate::output::go(error),
    }
}

/// One local port, and where its connections lead.
#[derive(Clone)]
struct Forward {
    client: Client,
    place: At,
    pair: Pair,
}

impl Forward {
    async fn accept(self, listener: TcpListener, failed: mpsc::Sender<()>) {
        while let Ok((connection, _)) = listener.accept().await {
            let _ = print(&format!("Handling connection for {}\n", self.pair.local));
            let (forward, failed) = (self.clone(), failed.clone());
            tokio::spawn(async move {
                if let Err(status) = forward.carry(connection).await {
                    forward.say(&status);
                    let _ = failed.send(()).await;
                }
            });
        }
    }

    /// Carries one connection to its end.
    async fn carry(&self, connection: TcpStream) -> std::result::Result<(), Status> {
        let (reader, mut writer) = connection.into_split();
        let (sender, receiver) = mpsc::channel(4);
        let reading = tokio::spawn(read(reader, sender));
        let input = ReceiverStream::new(receiver)
            .map(|frame| ConnectRequest { frame: Some(frame) })
            .chain(futures::stream::pending());
        let ports = [("ports", self.pair.remote.to_string())];
        let mut frames = self.client.connect(&self.place, &ports, input).await?;
        let result = loop {
            match frames.next().await {
                None => break Ok(()),
                Some(Err(error)) => break Err(status_of(error)),
                Some(Ok(frame)) => {
                    let Some(Frame::Stdout(bytes)) = frame.frame else {
                        continue;
                    };
                    // The pod says nothing more, but may still listen.
                    if bytes.is_empty() {
                        let _ = writer.shutdown().await;
                        continue;
                    }
                    // Whoever connected has gone: nobody is left to tell.
                    if writer.write_all(&bytes).await.is_err() {
                        break Ok(());
                    }
                }
            }
        };
        let _ = writer.shutdown().await;
        reading.abort();
        result
    }

    /// Says why a connection failed, in the form of upstream's log.
    fn say(&self, status: &Status) {
        let now = jiff::Zoned::now().strftime("%m%d %H:%M:%S%.6f").to_string();
        let Pair { local, remote } = self.pair;
        let why = format!(
            "an error occurred forwarding {local} -> {remote}: {}",
            status.message
        );
        warn(&format!(
            "E{now} {:>7} portforward.go:424] \"Unhandled Error\" err={why:?}",
            std::process::id()
        ));
    }
}

/// Hands on what comes from a connection, and that nothing more comes.
async fn read(mut reader: OwnedReadHalf, sender: mpsc::Sender<Input>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        let frame = match reader.read_buf(&mut buffer).await {
            Ok(0) => Input::CloseStdin(CloseStdin {}),
            Ok(_) => Input::Stdin(buffer.split().freeze()),
            Err(_) => return,
        };
        let last = matches!(frame, Input::CloseStdin(_));
        if sender.send(frame).await.is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_both_of_its_addresses() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            addresses(&texts).map(|found| {
                let shown = found.iter().map(|own| format!("{} {}", own.ip, own.local));
                shown.collect::<Vec<_>>().join(", ")
            })
        };
        assert_eq!(read(&["localhost"]).unwrap(), "127.0.0.1 true, ::1 true");
        assert_eq!(
            read(&["localhost", "10.19.21.23"]).unwrap(),
            "10.19.21.23 false, 127.0.0.1 true, ::1 true"
        );
        assert_eq!(
            read(&["here"]).unwrap_err().to_string(),
            "error: here is not a valid IP"
        );
    }
}
