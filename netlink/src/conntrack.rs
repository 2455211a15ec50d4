//! Connection tracking: finding and deleting tracked connections that were translated.

use std::net::Ipv4Addr;

use crate::message::{Attributes, Buffer, Received};
use crate::socket::{Error, Protocol, Socket};

const SUBSYSTEM: u16 = 1;
const GET: u16 = (SUBSYSTEM << 8) | 1;
const DELETE: u16 = (SUBSYSTEM << 8) | 2;
const HEADER: usize = 4;
const FAMILY: [u8; 4] = [libc::AF_INET as u8, 0, 0, 0];

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const SEEN_REPLY: u32 = 1 << 1;
const ID: u16 = 12;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_SOURCE: u16 = 1;
const IP_DESTINATION: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// A tracked connection of TCP, UDP or SCTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The number of the protocol above IP.
    pub protocol: u8,
    /// Where its first packet wanted to go.
    pub destination: (Ipv4Addr, u16),
    /// Who answers: another than the destination when it was translated.
    pub answerer: (Ipv4Addr, u16),
    /// Whether anything came back.
    pub replied: bool,
    /// The tuple by which the kernel knows it, as received.
    original: Vec<u8>,
    id: Vec<u8>,
}

/// A connection to the connection tracking of one network namespace.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
}

impl Connection {
    /// Connects in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(Protocol::Netfilter)?,
        })
    }

    /// All tracked IPv4 connections that have ports.
    pub fn flows(&mut self) -> Result<Vec<Flow>, Error> {
        let rows = self.socket.dump("tracked connections", GET, |message| {
            message.raw(&FAMILY);
        })?;
        Ok(rows.iter().filter_map(parse).collect())
    }

    /// Forgets a tracked connection; one that is gone is fine.
    pub fn delete(&mut self, flow: &Flow) -> Result<(), Error> {
        let body = |message: &mut Buffer| {
            message.raw(&FAMILY);
            message.nested(TUPLE_ORIGINAL, |tuple| {
                tuple.raw(&flow.original);
            });
            message.attribute(ID, &flow.id);
        };
        match self
            .socket
            .request("a tracked connection's deletion", DELETE, 0, body)
        {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(()),
        }
    }
}

fn parse(message: &Received) -> Option<Flow> {
    let flow = Attributes::after(&message.payload, HEADER);
    let original = flow.get(TUPLE_ORIGINAL)?;
    let (protocol, _, destination) = tuple(original)?;
    let (_, answerer, _) = tuple(flow.get(TUPLE_REPLY)?)?;
    Some(Flow {
        protocol,
        destination,
        answerer,
        replied: flow.be32(STATUS).unwrap_or_default() & SEEN_REPLY != 0,
        original: original.to_vec(),
        id: flow.get(ID)?.to_vec(),
    })
}

type End = (Ipv4Addr, u16);

fn tuple(bytes: &[u8]) -> Option<(u8, End, End)> {
    let tuple = Attributes::nested(bytes);
    let ip = Attributes::nested(tuple.get(TUPLE_IP)?);
    let protocol = Attributes::nested(tuple.get(TUPLE_PROTOCOL)?);
    Some((
        protocol.u8(PROTOCOL_NUMBER)?,
        (ip.ipv4(IP_SOURCE)?, protocol.be16(SOURCE_PORT)?),
        (ip.ipv4(IP_DESTINATION)?, protocol.be16(DESTINATION_PORT)?),
    ))
}
