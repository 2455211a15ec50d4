//! What rules are made of: expressions, which load into registers, compare, and act.

use crate::message::Buffer;
use crate::nftables::kernel as k;

/// One of sixteen registers of four bytes; longer values take several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

impl Register {
    pub(crate) fn number(self) -> u32 {
        k::REG32_00 + u32::from(self.0)
    }
}

/// Where an offset into a packet counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// The IP header.
    Network = 1,
    /// The TCP or UDP header.
    Transport = 2,
}

/// What is known of a packet beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meta {
    /// The packet mark.
    Mark = 3,
    /// The name of the interface it came by, 16 bytes.
    InputName = 6,
    /// The name of the interface it leaves by, 16 bytes.
    OutputName = 7,
    /// The protocol above IP.
    Layer4Protocol = 16,
}

/// How a register is compared; the rule ends when it does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Equal = 0,
    /// Not equal.
    NotEqual = 1,
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// ICMP: port unreachable.
    PortUnreachable,
    /// ICMP: host unreachable.
    HostUnreachable,
    /// TCP: reset.
    Reset,
}

/// Where a packet goes next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// On its way.
    Accept,
    /// Nowhere.
    Drop,
    /// Back to the calling chain.
    Return,
    /// To a chain, and back after its end.
    Jump(String),
    /// To a chain, and not back.
    Goto(String),
}

impl Verdict {
    fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Return => -5,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
        }
    }

    pub(crate) fn write(&self, buffer: &mut Buffer) {
        buffer.nested(k::DATA_VERDICT, |verdict| {
            verdict.attribute(k::VERDICT_CODE, &self.code().to_be_bytes());
            if let Self::Jump(chain) | Self::Goto(chain) = self {
                verdict.string(k::VERDICT_CHAIN, chain);
            }
        });
    }
}

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expression {
    /// Loads bytes of the packet.
    Payload {
        /// Where the offset counts from.
        base: Base,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Loads what is known of the packet.
    Load(Meta, Register),
    /// Sets the packet mark.
    SetMark(Register),
    /// Loads the tracked connection's status bits, host order.
    ConnectionStatus(Register),
    /// Loads the bit of the tracked connection's state (8 is a new one), host order.
    ConnectionState(Register),
    /// Loads the address that the connection's first packet came from.
    OriginalSource(Register),
    /// Loads the address that the connection's first packet was sent to.
    OriginalDestination(Register),
    /// Loads the port that the connection's first packet was sent to.
    OriginalPort(Register),
    /// Loads the kind of the destination address (`RTN_…`, host order).
    DestinationKind(Register),
    /// Loads the kind of the source address (`RTN_…`, host order).
    SourceKind(Register),
    /// Ands, then exclusive-ors a register of four bytes.
    Bitwise {
        /// From and to.
        register: Register,
        /// Bits to keep.
        mask: [u8; 4],
        /// Bits to flip.
        flip: [u8; 4],
    },
    /// Compares a register.
    Compare(Comparison, Register, Vec<u8>),
    /// Goes on only if the value is in the named set.
    Member(Register, &'static str),
    /// Goes on only if the value is not in the named set.
    NotMember(Register, &'static str),
    /// Takes the verdict that a named map gives; goes on if it has none.
    VerdictMap(Register, &'static str),
    /// Loads a random number, host order.
    Random {
        /// The number of different results.
        modulus: u32,
        /// The least of them.
        first: u32,
        /// Where to.
        to: Register,
    },
    /// Loads what a named map gives; the rule ends if it has nothing.
    Lookup {
        /// The key.
        from: Register,
        /// The map.
        map: &'static str,
        /// Where to.
        to: Register,
    },
    /// Remembers a value for a key, or only that the key was used; the rule ends if there is no room.
    Remember {
        /// The map, which [`Holds::Remembered`](crate::nftables::Holds::Remembered) elements.
        map: &'static str,
        /// The key.
        key: Register,
        /// The value; one that is remembered already stays.
        value: Register,
        /// How long, in milliseconds.
        time: u64,
    },
    /// Changes the destination.
    DestinationNat {
        /// The register of the address.
        address: Register,
        /// The register of the port.
        port: Register,
    },
    /// Changes the source to the address of the interface it leaves by, and to a random port.
    Masquerade,
    /// Refuses the packet.
    Reject(Reject),
    /// Decides.
    Decide(Verdict),
}

impl Expression {
    fn name(&self) -> &'static str {
        match self {
            Self::Payload { .. } => "payload",
            Self::Load(..) | Self::SetMark(_) => "meta",
            Self::ConnectionStatus(_)
            | Self::ConnectionState(_)
            | Self::OriginalSource(_)
            | Self::OriginalDestination(_)
            | Self::OriginalPort(_) => "ct",
            Self::DestinationKind(_) | Self::SourceKind(_) => "fib",
            Self::Bitwise { .. } => "bitwise",
            Self::Compare(..) => "cmp",
            Self::Member(..) | Self::NotMember(..) | Self::VerdictMap(..) | Self::Lookup { .. } => {
                "lookup"
            }
            Self::Random { .. } => "numgen",
            Self::Remember { .. } => "dynset",
            Self::DestinationNat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Reject(_) => "reject",
            Self::Decide(_) => "immediate",
        }
    }

    /// Writes the expression as an element of a list.
    pub(crate) fn write(&self, list: &mut Buffer) {
        list.nested(k::LIST_ELEM, |element| {
            element
                .string(k::EXPR_NAME, self.name())
                .nested(k::EXPR_DATA, |data| self.write_data(data));
        });
    }

    /// The numbers of attributes are those of `NFTA_<NAME>_…`.
    fn write_data(&self, data: &mut Buffer) {
        match self {
            Self::Payload {
                base,
                offset,
                length,
                to,
            } => {
                data.be32(1, to.number())
                    .be32(2, *base as u32)
                    .be32(3, *offset)
                    .be32(4, *length);
            }
            Self::Load(key, to) => {
                data.be32(1, to.number()).be32(2, *key as u32);
            }
            Self::SetMark(from) => {
                data.be32(2, Meta::Mark as u32).be32(3, from.number());
            }
            Self::ConnectionStatus(to) => {
                data.be32(1, to.number()).be32(2, k::CT_STATUS);
            }
            Self::ConnectionState(to) => {
                data.be32(1, to.number()).be32(2, k::CT_STATE);
            }
            Self::OriginalSource(to) => original(data, k::CT_SRC_IP, *to),
            Self::OriginalDestination(to) => original(data, k::CT_DST_IP, *to),
            Self::OriginalPort(to) => original(data, k::CT_PROTO_DST, *to),
            Self::DestinationKind(to) => {
                data.be32(1, to.number())
                    .be32(2, k::FIB_RESULT_ADDRTYPE)
                    .be32(3, k::FIB_F_DADDR);
            }
            Self::Bitwise {
                register,
                mask,
                flip,
            } => {
                data.be32(1, register.number())
                    .be32(2, register.number())
                    .be32(3, 4)
                    .nested(4, |value| value_of(value, mask))
                    .nested(5, |value| value_of(value, flip));
            }
            Self::Compare(comparison, register, bytes) => {
                data.be32(1, register.number())
                    .be32(2, *comparison as u32)
                    .nested(3, |value| value_of(value, bytes));
            }
            Self::Member(register, set) => {
                data.string(1, set).be32(2, register.number());
            }
            Self::VerdictMap(register, map) => {
                data.string(1, map)
                    .be32(2, register.number())
                    .be32(3, k::REG_VERDICT);
            }
            Self::SourceKind(to) => {
                data.be32(1, to.number())
                    .be32(2, k::FIB_RESULT_ADDRTYPE)
                    .be32(3, k::FIB_F_SADDR);
            }
            Self::NotMember(register, set) => {
                data.string(1, set)
                    .be32(2, register.number())
                    .be32(5, k::LOOKUP_F_INV);
            }
            Self::Random { modulus, first, to } => {
                data.be32(1, to.number())
                    .be32(2, *modulus)
                    .be32(3, k::NG_RANDOM);
                if *first > 0 {
                    data.be32(4, *first);
                }
            }
            Self::Remember {
                map,
                key,
                value,
                time,
            } => {
                data.string(1, map)
                    .be32(3, k::DYNSET_OP_UPDATE)
                    .be32(4, key.number())
                    .be32(5, value.number())
                    .attribute(6, &time.to_be_bytes());
            }
            Self::Lookup { from, map, to } => {
                data.string(1, map)
                    .be32(2, from.number())
                    .be32(3, to.number());
            }
            Self::DestinationNat { address, port } => {
                data.be32(1, k::NAT_DNAT)
                    .be32(2, libc::AF_INET as u32)
                    .be32(3, address.number())
                    .be32(5, port.number());
            }
            Self::Masquerade => {
                data.be32(1, k::NAT_RANGE_RANDOM_FULLY);
            }
            Self::Reject(Reject::PortUnreachable) => {
                data.be32(1, 0).attribute(2, &[3]);
            }
            Self::Reject(Reject::HostUnreachable) => {
                data.be32(1, 0).attribute(2, &[1]);
            }
            Self::Reject(Reject::Reset) => {
                data.be32(1, 1).attribute(2, &[0]);
            }
            Self::Decide(verdict) => {
                data.be32(1, k::REG_VERDICT)
                    .nested(2, |value| verdict.write(value));
            }
        }
    }
}

/// What is known of the direction of the connection's first packet.
fn original(data: &mut Buffer, key: u32, to: Register) {
    data.be32(1, to.number()).be32(2, key).attribute(3, &[0]);
}

pub(crate) fn value_of(data: &mut Buffer, bytes: &[u8]) {
    data.attribute(k::DATA_VALUE, bytes);
}
