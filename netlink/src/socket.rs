//! One netlink socket: requests and acknowledgements, dumps, events, and sockets in other namespaces.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::message::{self, Buffer, Header, Received};

/// Seconds to wait for an answer of the kernel, which normally takes microseconds.
const ANSWER_SECONDS: i64 = 30;
/// A dump is repeated this often when the table changed while it was read.
const DUMP_ATTEMPTS: usize = 8;
/// The kernel fills at most 32 KiB of a dump at a time.
const RECEIVE_BYTES: usize = 64 << 10;
/// Room for one whole transaction on its way to the kernel.
const SEND_BUFFER: usize = 256 << 20;
const RECEIVE_BUFFER: usize = 8 << 20;

/// What can go wrong when speaking to the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the socket failed.
    #[error("netlink {call}: {errno}")]
    System {
        /// The call.
        call: &'static str,
        /// Its error.
        errno: Errno,
    },
    /// The kernel refused a request.
    #[error("the kernel refused {request}: {errno}")]
    Refused {
        /// What was asked for.
        request: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The table kept changing while it was read.
    #[error("{0} changed while it was read")]
    Unstable(&'static str),
    /// No thread could be started to open a socket in another namespace.
    #[error("cannot enter the network namespace: {0}")]
    Namespace(String),
}

impl Error {
    /// The kernel's error number, if it is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { errno, .. } | Self::Refused { errno, .. } => Some(*errno),
            Self::Unstable(_) | Self::Namespace(_) => None,
        }
    }

    /// True when the kernel says that the thing exists already.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    /// True when the kernel says that the thing does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::ENOENT | Errno::ENODEV | Errno::ESRCH | Errno::EADDRNOTAVAIL)
        )
    }
}

/// Which part of the kernel a socket speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes.
    Route,
    /// nf_tables and connection tracking.
    Netfilter,
}

/// A netlink socket, bound, with its own sequence of requests.
#[derive(Debug)]
pub struct Socket {
    file: OwnedFd,
    sequence: u32,
    port: u32,
    /// Where datagrams are received, again and again.
    room: Vec<u8>,
}

fn system(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::System { call, errno }
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        let socket = Self::bind(protocol, 0)?;
        socket::setsockopt(
            &socket.file,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(ANSWER_SECONDS),
        )
        .map_err(system("setsockopt"))?;
        Ok(socket)
    }

    /// Opens a socket that receives the events of these multicast groups (a bit mask).
    pub fn subscribe(protocol: Protocol, groups: u32) -> Result<Self, Error> {
        Self::bind(protocol, groups)
    }

    /// Opens a socket in another network namespace; it stays there whatever the caller's thread does.
    pub fn open_in(protocol: Protocol, namespace: BorrowedFd<'_>) -> Result<Self, Error> {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, || {
                    nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET)
                        .map_err(system("setns"))?;
                    Self::open(protocol)
                })
                .map_err(|error| Error::Namespace(error.to_string()))?
                .join()
                .map_err(|_| Error::Namespace("the thread panicked".to_owned()))?
        })
    }

    fn bind(protocol: Protocol, groups: u32) -> Result<Self, Error> {
        let kind = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let file = socket::socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            kind,
        )
        .map_err(system("socket"))?;
        // Both need CAP_NET_ADMIN; without it requests are refused anyway, with a clearer error.
        let _ = socket::setsockopt(&file, sockopt::SndBufForce, &SEND_BUFFER);
        let _ = socket::setsockopt(&file, sockopt::RcvBufForce, &RECEIVE_BUFFER);
        socket::bind(file.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(system("bind"))?;
        let address: NetlinkAddr =
            socket::getsockname(file.as_raw_fd()).map_err(system("getsockname"))?;
        Ok(Self {
            file,
            sequence: 0,
            port: address.pid(),
            room: vec![0; RECEIVE_BYTES],
        })
    }

    /// The port the kernel names in events that this socket's requests caused.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// A sequence number not used before.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Sends one request and waits for its acknowledgement; returns the messages that came before it.
    pub fn request(
        &mut self,
        name: &'static str,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Buffer),
    ) -> Result<Vec<Received>, Error> {
        let sequence = self.next_sequence();
        let mut buffer = Buffer::new();
        let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        buffer.message(kind, flags, sequence, body);
        self.send(buffer.bytes())?;
        let mut answers = Vec::new();
        loop {
            for message in self.receive()? {
                if message.sequence != sequence {
                    continue;
                }
                match outcome(&message) {
                    Some(None) => return Ok(answers),
                    Some(Some(errno)) => {
                        return Err(Error::Refused {
                            request: name,
                            errno,
                        });
                    }
                    None => answers.push(message),
                }
            }
        }
    }

    /// Reads a whole table; repeats when it changed meanwhile.
    pub fn dump(
        &mut self,
        name: &'static str,
        kind: u16,
        body: impl Fn(&mut Buffer),
    ) -> Result<Vec<Received>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.next_sequence();
            let mut buffer = Buffer::new();
            let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
            buffer.message(kind, flags, sequence, &body);
            self.send(buffer.bytes())?;
            if let Some(rows) = self.read_dump(name, sequence)? {
                return Ok(rows);
            }
        }
        Err(Error::Unstable(name))
    }

    fn read_dump(
        &mut self,
        name: &'static str,
        sequence: u32,
    ) -> Result<Option<Vec<Received>>, Error> {
        let mut rows = Vec::new();
        let mut interrupted = false;
        loop {
            for message in self.receive()? {
                if message.sequence != sequence {
                    continue;
                }
                interrupted |= message.flags & libc::NLM_F_DUMP_INTR as u16 != 0;
                if i32::from(message.kind) == libc::NLMSG_DONE {
                    return Ok((!interrupted).then_some(rows));
                }
                match outcome(&message) {
                    Some(None) => return Ok((!interrupted).then_some(rows)),
                    // nf_tables ends an outdated dump so.
                    Some(Some(Errno::EINTR)) => return Ok(None),
                    Some(Some(errno)) => {
                        return Err(Error::Refused {
                            request: name,
                            errno,
                        });
                    }
                    None => rows.push(message),
                }
            }
        }
    }

    /// Sends bytes to the kernel in one piece.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            match socket::sendto(
                self.file.as_raw_fd(),
                bytes,
                &NetlinkAddr::new(0, 0),
                MsgFlags::empty(),
            ) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(Error::System {
                        call: "sendto",
                        errno,
                    });
                }
            }
        }
    }

    /// Waits for the next datagram and returns its messages.
    pub fn receive(&mut self) -> Result<Vec<Received>, Error> {
        let datagram = self.receive_raw()?;
        Ok(message::split(datagram))
    }

    /// Waits for the next datagram and tells whether one of its messages is like this, without keeping any.
    pub fn receive_any(&mut self, like: impl Fn(&Header<'_>) -> bool) -> Result<bool, Error> {
        let datagram = self.receive_raw()?;
        Ok(message::headers(datagram).any(|header| like(&header)))
    }

    fn receive_raw(&mut self) -> Result<&[u8], Error> {
        loop {
            match socket::recv(self.file.as_raw_fd(), &mut self.room, MsgFlags::empty()) {
                Ok(length) => return Ok(&self.room[..length]),
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(Error::System {
                        call: "recv",
                        errno,
                    });
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Reads an acknowledgement or error: `None` if the message is neither, `Some(None)` for success.
pub(crate) fn outcome(message: &Received) -> Option<Option<Errno>> {
    if i32::from(message.kind) != libc::NLMSG_ERROR {
        return None;
    }
    let code = message
        .payload
        .get(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(-libc::EPROTO, i32::from_ne_bytes);
    Some((code != 0).then(|| Errno::from_raw(code.saturating_neg())))
}
