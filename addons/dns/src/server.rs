//! Questions in, answers out, on UDP and TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use hickory_proto::op::{Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use prometheus_client::metrics::counter::Counter;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::catalog::View;
use crate::forward::Forwarder;
use crate::records::{self, Answer, Data, Kind};

/// Seconds that answers may be kept, as CoreDNS' default for clusters.
const TTL: u32 = 30;
/// How long a TCP connection may say nothing.
const IDLE: Duration = Duration::from_secs(10);
const RESPONSES: usize = 32;

/// Answers from a view of the cluster, and forwards what is not of the cluster.
pub struct Handler<V> {
    /// Services and endpoints.
    pub view: V,
    /// `cluster.local`.
    pub domain: String,
    /// The node's resolvers.
    pub forwarder: Forwarder,
    /// Questions answered.
    pub questions: Counter,
}

/// Serves on `address`, port `port`, until `shutdown`.
pub async fn serve<V: View + Send + Sync + Unpin + 'static>(
    handler: Handler<V>,
    address: Ipv4Addr,
    port: u16,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let address = SocketAddr::new(IpAddr::V4(address), port);
    let udp = UdpSocket::bind(address)
        .await
        .with_context(|| format!("listen on {address}/UDP"))?;
    let tcp = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}/TCP"))?;
    let mut server = Server::new(handler);
    server.register_socket(udp);
    server.register_listener(tcp, IDLE, RESPONSES);
    tracing::info!(%address, "answering");
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = server.block_until_done() => ended.context("the DNS server ended"),
    }
}

/// What is sent back.
struct Reply {
    code: ResponseCode,
    authoritative: bool,
    answers: Vec<Record>,
    soa: Option<Record>,
    additional: Vec<Record>,
}

impl Reply {
    fn error(code: ResponseCode) -> Reply {
        Reply {
            code,
            authoritative: false,
            answers: Vec::new(),
            soa: None,
            additional: Vec::new(),
        }
    }
}

impl<V: View + Sync> Handler<V> {
    async fn reply(&self, query: &Query) -> Reply {
        let mut name = query.name().to_lowercase();
        name.set_fqdn(false);
        let kind = match query.query_type() {
            RecordType::A => Kind::A,
            RecordType::CNAME => Kind::Cname,
            RecordType::SRV => Kind::Srv,
            RecordType::TXT => Kind::Txt,
            _ => Kind::Other,
        };
        let answer = records::answer(&self.view, &self.domain, &name.to_string(), kind);
        let soa = || soa(&self.domain);
        match answer {
            Answer::NoSuchName => Reply {
                authoritative: true,
                soa: soa(),
                ..Reply::error(ResponseCode::NXDomain)
            },
            Answer::Foreign => self.forward(query).await,
            Answer::Found {
                records,
                additional,
            } => {
                let mut answers: Vec<Record> = records.iter().filter_map(record).collect();
                let additional = additional.iter().filter_map(record).collect();
                // Where a CNAME leads outside, its addresses are wanted too.
                if let [(_, Data::Cname(target))] = records.as_slice()
                    && kind == Kind::A
                {
                    answers.extend(self.follow(target).await);
                }
                let soa = if answers.is_empty() { soa() } else { None };
                Reply {
                    code: ResponseCode::NoError,
                    authoritative: true,
                    answers,
                    soa,
                    additional,
                }
            }
        }
    }

    async fn follow(&self, target: &str) -> Vec<Record> {
        match records::answer(&self.view, &self.domain, target, Kind::A) {
            Answer::Found { records, .. } => records.iter().filter_map(record).collect(),
            Answer::NoSuchName => Vec::new(),
            Answer::Foreign => {
                let Some(name) = absolute(target) else {
                    return Vec::new();
                };
                self.forward(&Query::query(name, RecordType::A))
                    .await
                    .answers
            }
        }
    }

    async fn forward(&self, query: &Query) -> Reply {
        match self.forwarder.ask(query).await {
            None => Reply::error(ResponseCode::ServFail),
            Some(answer) => Reply {
                code: answer.metadata.response_code,
                authoritative: false,
                soa: answer
                    .authorities
                    .into_iter()
                    .find(|record| record.record_type() == RecordType::SOA),
                answers: answer.answers,
                additional: answer.additionals,
            },
        }
    }
}

#[async_trait::async_trait]
impl<V: View + Send + Sync + Unpin + 'static> RequestHandler for Handler<V> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut out: R,
    ) -> ResponseInfo {
        self.questions.inc();
        let reply = match request.request_info() {
            Ok(_) if request.metadata.op_code != OpCode::Query => {
                Reply::error(ResponseCode::NotImp)
            }
            Ok(info) => self.reply(info.query.original()).await,
            Err(_) => Reply::error(ResponseCode::FormErr),
        };
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = reply.code;
        metadata.authoritative = reply.authoritative;
        metadata.recursion_available = true;
        let response = MessageResponseBuilder::from_message_request(request).build(
            metadata,
            &reply.answers,
            std::iter::empty(),
            &reply.soa,
            &reply.additional,
        );
        match out.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "an answer was not sent");
                let header = hickory_proto::op::Header {
                    metadata,
                    counts: Default::default(),
                };
                ResponseInfo::from(header)
            }
        }
    }
}

fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_str(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn record((name, data): &records::Record) -> Option<Record> {
    let data = match data {
        Data::A(address) => RData::A(A(*address)),
        Data::Cname(target) => RData::CNAME(CNAME(absolute(target)?)),
        Data::Ptr(target) => RData::PTR(PTR(absolute(target)?)),
        Data::Srv { port, target } => RData::SRV(SRV::new(0, 100, *port, absolute(target)?)),
        Data::Txt(text) => RData::TXT(TXT::new(vec![text.clone()])),
    };
    Some(Record::from_rdata(absolute(name)?, TTL, data))
}

/// How long a "no" may be kept.
fn soa(domain: &str) -> Option<Record> {
    let origin = absolute(domain)?;
    let (server, mailbox) = (
        absolute(&format!("ns.dns.{domain}"))?,
        absolute(&format!("hostmaster.{domain}"))?,
    );
    let data = SOA::new(server, mailbox, 1, 7200, 1800, 86400, TTL);
    Some(Record::from_rdata(origin, TTL, RData::SOA(data)))
}
