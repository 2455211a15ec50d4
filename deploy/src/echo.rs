//! The HTTP server under the lab programs: one line of text for every request, and for every UDP packet to the same port.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};

/// What a request shows to the answer.
pub struct Asked {
    /// The method of the request.
    pub method: Method,
    /// The address that was connected to.
    pub local: IpAddr,
}

/// Serves on port 80 (or `$PORT`) until SIGTERM, SIGINT or SIGQUIT, and lets requests under way finish.
pub fn serve(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> anyhow::Result<()> {
    let port = match std::env::var("PORT") {
        Ok(port) => port
            .parse()
            .with_context(|| format!("PORT={port} is no port"))?,
        Err(_) => 80,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        Arc::new(answer),
    ))
}

async fn run(
    address: SocketAddr,
    answer: Arc<impl Fn(&Asked) -> String + Send + Sync + 'static>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    let packets = UdpSocket::bind(address)
        .await
        .with_context(|| format!("listen on UDP {address}"))?;
    tokio::spawn(answer_packets(packets, answer.clone()));
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = quit.recv() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(local) = stream.local_addr() else {
            continue;
        };
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let asked = Asked {
                method: request.method().clone(),
                local: local.ip(),
            };
            let text = answer(&asked);
            async move {
                let body = Full::new(Bytes::from(text));
                let mut response = Response::new(body);
                let plain = header::HeaderValue::from_static("text/plain");
                response.headers_mut().insert(header::CONTENT_TYPE, plain);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(60))
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move { drop(watched.await) });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(5), graceful.shutdown()).await;
    Ok(())
}

/// Answers every packet.
async fn answer_packets(
    socket: UdpSocket,
    answer: Arc<impl Fn(&Asked) -> String + Send + Sync + 'static>,
) {
    let mut bytes = [0; 1500];
    let local = socket.local_addr().map(|address| address.ip());
    let asked = Asked {
        method: Method::GET,
        local: local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    };
    loop {
        match socket.recv_from(&mut bytes).await {
            Ok((_, peer)) => drop(socket.send_to(answer(&asked).as_bytes(), peer).await),
            // A peer that was gone, most often.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
