//! nf_tables: tables, chains, rules, sets and maps of the `ip` family.
//!
//! A [`Transaction`] is built in memory, then [`Connection::commit`] hands it to the kernel, which takes all of it or
//! nothing. What the kernel holds is read back with [`Connection::contents`].
//!
//! The encoding is that of `linux/netfilter/nf_tables.h`: attributes in network order, expressions in lists. What is
//! programmed here can be listed by the `nft` program; the type numbers of sets are there for its sake only.
//!
//! There are no anonymous sets on purpose: the kernel walks all sets of a table several times for each new one. It also
//! walks all rules that use a map for each new element: neither sets nor rules should grow with what is programmed.

mod contents;
mod expression;
mod kernel;
mod set;
mod transaction;

use crate::message::Header;
use crate::socket::{Error, Protocol, Socket, outcome};

pub use contents::{Contents, Elements};
pub use expression::{Base, Comparison, Expression, Meta, Register, Reject, Verdict};
pub use set::{Element, Given, Gives, Holds, Lifetime, Part, Set, Type, concatenate};
pub use transaction::{Hook, HookKind, Transaction};

/// The multicast group of nf_tables changes, as a bit mask for [`Socket::subscribe`].
pub const CHANGES: u32 = 1 << 6;

/// A connection to the nf_tables of one network namespace.
#[derive(Debug)]
pub struct Connection {
    pub(crate) socket: Socket,
}

impl Connection {
    /// Connects in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(Protocol::Netfilter)?,
        })
    }

    /// The port that the kernel names in events about this connection's transactions.
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Gives a transaction to the kernel, which takes all of it or nothing.
    ///
    /// After [`Error::Refused`] nothing has changed. After any other error the outcome is not known, and this connection
    /// is of no more use.
    pub fn commit(&mut self, transaction: Transaction) -> Result<(), Error> {
        let Some(batch) = transaction.finish() else {
            return Ok(());
        };
        self.socket.send(batch.bytes())?;
        let mut refused = None;
        loop {
            for message in self.socket.receive()? {
                let Some(result) = outcome(&message) else {
                    continue;
                };
                if let (Some(errno), None) = (result, &refused) {
                    let request = batch.request(message.sequence);
                    refused = Some(Error::Refused { request, errno });
                }
                // An error for the first message is one of the whole; that of the last comes after all others.
                let whole = message.sequence == batch.first() && refused.is_some();
                if whole || message.sequence == batch.last() {
                    return refused.map_or(Ok(()), Err);
                }
            }
        }
    }
}

/// Whether an event tells of a change of this table made through another connection.
pub fn is_foreign_change(event: &Header<'_>, table: &str, own_port: u32) -> bool {
    event.port != own_port && contents::is_about(event, table)
}
