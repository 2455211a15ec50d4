//! Named sets and maps: what they hold, and their elements.

use crate::message::Buffer;
use crate::nftables::expression::{Verdict, value_of};
use crate::nftables::kernel as k;

/// `nft` takes no longer comments.
const COMMENT_LIMIT: usize = 127;

/// A part of a value; each takes one whole register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `ipv4_addr`
    Address,
    /// `inet_proto`
    Protocol,
    /// `inet_service`
    Port,
    /// `mark`: a number in host order.
    Number,
}

impl Part {
    /// As `nft` numbers them; `nft list` shows values by it.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Address => 7,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Number => 19,
        }
    }

    /// Bytes that count.
    pub(crate) fn length(self) -> u32 {
        match self {
            Self::Address | Self::Number => 4,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// What a key or value is: one part, or several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type(pub &'static [Part]);

impl Type {
    pub(crate) fn number(self) -> u32 {
        self.0
            .iter()
            .fold(0, |number, part| (number << 6) | part.number())
    }

    /// The length of a value: every part takes whole registers.
    pub(crate) fn length(self) -> u32 {
        4 * self.0.len() as u32
    }
}

/// Joins parts of a value, each padded to whole registers.
pub fn concatenate(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// What a set's elements give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Nothing: they are members.
    Nothing,
    /// A verdict.
    Verdict,
    /// A value.
    Value(Type),
}

/// What one element gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Nothing: it is a member.
    Nothing,
    /// A verdict.
    Verdict(Verdict),
    /// A value.
    Value(Vec<u8>),
}

/// An element of a named set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its key; the first one of a range.
    pub key: Vec<u8>,
    /// The last key of a range, in sets of ranges.
    pub end: Option<Vec<u8>>,
    /// What it gives.
    pub given: Given,
    /// How long it lives anew and still, in milliseconds, in sets that packets fill.
    pub lifetime: Option<Lifetime>,
    /// What people read beside it.
    comment: String,
}

/// How long an element lives, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// From its last use.
    pub whole: u64,
    /// What is left of it.
    pub left: u64,
}

impl Element {
    /// An element without a comment.
    pub fn new(key: Vec<u8>, given: Given) -> Self {
        Self {
            key,
            end: None,
            given,
            lifetime: None,
            comment: String::new(),
        }
    }

    /// Adds a comment, of which 127 bytes are kept.
    pub fn comment(mut self, comment: &str) -> Self {
        let end = comment.floor_char_boundary(COMMENT_LIMIT);
        self.comment = comment[..end].to_owned();
        self
    }

    pub(crate) fn write_key(&self, buffer: &mut Buffer) {
        buffer.nested(k::SET_ELEM_KEY, |value| value_of(value, &self.key));
        if let Some(end) = &self.end {
            buffer.nested(k::SET_ELEM_KEY_END, |value| value_of(value, end));
        }
    }

    pub(crate) fn write(&self, buffer: &mut Buffer) {
        self.write_key(buffer);
        match &self.given {
            Given::Nothing => {}
            Given::Verdict(verdict) => {
                buffer.nested(k::SET_ELEM_DATA, |data| verdict.write(data));
            }
            Given::Value(bytes) => {
                buffer.nested(k::SET_ELEM_DATA, |data| value_of(data, bytes));
            }
        }
        if let Some(lifetime) = self.lifetime {
            buffer
                .attribute(k::SET_ELEM_TIMEOUT, &lifetime.whole.to_be_bytes())
                .attribute(k::SET_ELEM_EXPIRATION, &lifetime.left.to_be_bytes());
        }
        if !self.comment.is_empty() {
            // As `nft` has it: a field's type (0 is a comment), its length, and the text with its end.
            let mut field = vec![0, self.comment.len() as u8 + 1];
            field.extend_from_slice(self.comment.as_bytes());
            field.push(0);
            buffer.attribute(k::SET_ELEM_USERDATA, &field);
        }
    }
}

/// How a set holds its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Single keys, which transactions add.
    Keys,
    /// Ranges of keys, which transactions add.
    Ranges,
    /// Single keys that packets add, at most so many, and that time takes away.
    Remembered(u32),
}

/// A named set or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: &'static str,
    /// What its keys are.
    pub key: Type,
    /// What its elements give.
    pub gives: Gives,
    /// How it holds them.
    pub holds: Holds,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_numbered_as_nft_numbers_them() {
        use Part::{Address, Port, Protocol};
        for (parts, number, length) in [
            (&[Address] as &[Part], 7, 4),
            (&[Address, Port], (7 << 6) | 13, 8),
            (&[Address, Protocol, Port], (7 << 12) | (12 << 6) | 13, 12),
        ] {
            let kind = Type(parts);
            assert_eq!((kind.number(), kind.length()), (number, length));
        }
    }
}
