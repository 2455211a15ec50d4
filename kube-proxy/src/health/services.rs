//! A port for each service that load balancers check: it says how many of its endpoints are on this node.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::health::ProxyHealth;
use crate::health::http::{Answer, serve};
use crate::objects::ServiceName;
use crate::ruleset::Checked;

/// A port that cannot be opened is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// Told what cannot be opened: the service, its port, and why.
pub type OnFailure = dyn Fn(&ServiceName, u16, &std::io::Error) + Send + Sync;

/// The open ports; dropping it closes them.
pub struct ServiceHealth {
    proxy: ProxyHealth,
    on_failure: Arc<OnFailure>,
    open: BTreeMap<ServiceName, Open>,
}

struct Open {
    port: u16,
    endpoints: Arc<AtomicUsize>,
    _close: DropGuard,
}

impl ServiceHealth {
    /// No port yet.
    pub fn new(proxy: ProxyHealth, on_failure: Arc<OnFailure>) -> Self {
        Self {
            proxy,
            on_failure,
            open: BTreeMap::new(),
        }
    }

    /// Opens, keeps or closes the port of a service. It must be called in an async runtime.
    pub fn set(&mut self, name: &ServiceName, checked: Option<Checked>) {
        let Some(checked) = checked else {
            self.open.remove(name);
            return;
        };
        if let Some(open) = self.open.get(name)
            && open.port == checked.port
        {
            open.endpoints
                .store(checked.local_endpoints, Ordering::Release);
            return;
        }
        let (close, endpoints) = (
            CancellationToken::new(),
            AtomicUsize::new(checked.local_endpoints),
        );
        let endpoints = Arc::new(endpoints);
        let task = answer_on(
            checked.port,
            name.clone(),
            endpoints.clone(),
            self.proxy.clone(),
            self.on_failure.clone(),
        );
        let (stop, stopped) = (close.clone(), close.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = task(stop) => {}
            }
        });
        let open = Open {
            port: checked.port,
            endpoints,
            _close: close.drop_guard(),
        };
        self.open.insert(name.clone(), open);
    }
}

fn answer_on(
    port: u16,
    name: ServiceName,
    endpoints: Arc<AtomicUsize>,
    proxy: ProxyHealth,
    on_failure: Arc<OnFailure>,
) -> impl FnOnce(CancellationToken) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |stop| {
        Box::pin(async move {
            let mut told = false;
            let listener = loop {
                match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await {
                    Ok(listener) => break listener,
                    Err(error) => {
                        if !std::mem::replace(&mut told, true) {
                            on_failure(&name, port, &error);
                        }
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            let answer = move |_: &str| {
                let count = endpoints.load(Ordering::Acquire);
                Some(answer(&name, count, proxy.is_healthy(Instant::now())))
            };
            serve(listener, stop, answer).await;
        })
    }
}

/// What upstream's proxy says, to the last blank.
fn answer(name: &ServiceName, endpoints: usize, healthy: bool) -> Answer {
    let ServiceName { namespace, name } = name;
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\"localEndpoints\": {endpoints},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
    );
    Answer {
        status: match endpoints > 0 && healthy {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        },
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ServiceName {
        ServiceName {
            namespace: "default".into(),
            name: "web".into(),
        }
    }

    #[test]
    fn only_a_healthy_proxy_with_endpoints_here_takes_traffic() {
        for (endpoints, healthy, status) in [(0, true, 503), (2, true, 200), (2, false, 503)] {
            let answer = answer(&name(), endpoints, healthy);
            assert_eq!(answer.status.as_u16(), status);
        }
        let body = "{\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t},\n\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}";
        assert_eq!(answer(&name(), 2, true).body, body);
    }

    async fn ask(port: u16) -> std::io::Result<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// Asks until this comes, for at most five seconds.
    async fn expect(port: u16, what: impl Fn(&std::io::Result<String>) -> bool) {
        let mut last = None;
        for _ in 0..250 {
            let answer = ask(port).await;
            if what(&answer) {
                return;
            }
            last = Some(answer);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{last:?}");
    }

    #[tokio::test]
    async fn a_port_opens_follows_its_service_and_closes() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let (told, failures) = tokio::sync::watch::channel(0);
        let on_failure =
            move |_: &ServiceName, _, _: &std::io::Error| told.send_modify(|n| *n += 1);
        let health = ProxyHealth::new(Duration::from_secs(60));
        let mut services = ServiceHealth::new(health, Arc::new(on_failure));
        let checked = |local_endpoints| {
            Some(Checked {
                port,
                local_endpoints,
            })
        };
        // Somebody else has the port: it is said, and tried again.
        services.set(&name(), checked(1));
        let mut told = failures;
        tokio::time::timeout(Duration::from_secs(5), told.wait_for(|n| *n == 1))
            .await
            .unwrap()
            .unwrap();
        drop(free);
        let has = |status: &'static str| {
            move |answer: &std::io::Result<String>| {
                answer.as_ref().is_ok_and(|text| text.starts_with(status))
            }
        };
        expect(port, has("HTTP/1.1 200 OK\r\n")).await;
        services.set(&name(), checked(0));
        expect(port, has("HTTP/1.1 503 Service Unavailable\r\n")).await;
        let text = ask(port).await.unwrap().to_lowercase();
        assert!(
            text.contains("content-type: application/json\r\n"),
            "{text}"
        );
        assert!(
            text.contains("x-content-type-options: nosniff\r\n"),
            "{text}"
        );
        services.set(&name(), None);
        expect(port, |answer| answer.is_err()).await;
    }
}
