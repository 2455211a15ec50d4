//! Netlink messages as bytes: writing messages and attributes, and reading them back.

/// Attribute kinds carry flags in their two highest bits.
const KIND_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

/// One or more netlink messages under construction, ready to be sent in one piece.
#[derive(Debug, Default, Clone)]
pub struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends one message; `body` writes its fixed header and its attributes.
    pub fn message(&mut self, kind: u16, flags: u16, sequence: u32, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        body(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds flags to the message that starts at `start`.
    pub(crate) fn set_flags(&mut self, start: usize, flags: u16) {
        if let Some(field) = self.bytes.get_mut(start + 6..start + 8) {
            for (byte, flag) in field.iter_mut().zip(flags.to_ne_bytes()) {
                *byte |= flag;
            }
        }
    }

    /// Appends bytes as they are, padded to four.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// Appends a string attribute, terminated by a zero byte.
    pub fn string(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends a 32 bit attribute in host order, as rtnetlink has them.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends a 32 bit attribute in network order, as netfilter has them.
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds the attributes written by `body`; its size is limited to 64 KiB.
    pub fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        body(self);
        let length = self.bytes.len() - start;
        debug_assert!(
            length <= usize::from(u16::MAX),
            "nested attribute of {length} bytes"
        );
        self.bytes[start..start + 2].copy_from_slice(&(length as u16).to_ne_bytes());
        self
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}

/// The attributes in a piece of a message.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Reads attributes from `bytes`, skipping `header` bytes first.
    pub fn after(bytes: &'a [u8], header: usize) -> Self {
        Self(bytes.get(header..).unwrap_or_default())
    }

    /// Reads the attributes nested in the value of one.
    pub fn nested(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The value of the first attribute of this kind.
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter()
            .find(|(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// A string attribute without its terminator.
    pub fn string(self, kind: u16) -> Option<String> {
        let value = self.get(kind)?;
        let end = value
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(value.len());
        Some(String::from_utf8_lossy(&value[..end]).into_owned())
    }

    /// A 32 bit attribute in host order.
    pub fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A 32 bit attribute in network order.
    pub fn be32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A 16 bit attribute in network order.
    pub fn be16(self, kind: u16) -> Option<u16> {
        Some(u16::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A one byte attribute.
    pub fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// An IPv4 address.
    pub fn ipv4(self, kind: u16) -> Option<std::net::Ipv4Addr> {
        let value: [u8; 4] = self.get(kind)?.try_into().ok()?;
        Some(value.into())
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(self.0.get(0..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(self.0.get(2..4)?.try_into().ok()?);
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & KIND_MASK, value))
    }
}

/// One message received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The message type.
    pub kind: u16,
    /// The header's flags.
    pub flags: u16,
    /// The sequence number of the request it answers.
    pub sequence: u32,
    /// The port that caused it (0: the kernel).
    pub port: u32,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// One message where it was received.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// The message type.
    pub kind: u16,
    /// The header's flags.
    pub flags: u16,
    /// The sequence number of the request it answers.
    pub sequence: u32,
    /// The port that caused it (0: the kernel).
    pub port: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The messages of a datagram; a broken tail is dropped.
pub fn headers(mut bytes: &[u8]) -> impl Iterator<Item = Header<'_>> {
    fn word(bytes: &[u8], at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    }
    std::iter::from_fn(move || {
        let length = word(bytes, 0)? as usize;
        let kind = word(bytes, 4)?.to_ne_bytes();
        let header = Header {
            kind: u16::from_ne_bytes([kind[0], kind[1]]),
            flags: u16::from_ne_bytes([kind[2], kind[3]]),
            sequence: word(bytes, 8)?,
            port: word(bytes, 12)?,
            payload: bytes.get(16..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(header)
    })
}

/// Splits a datagram into its messages; a broken tail is dropped.
pub fn split(bytes: &[u8]) -> Vec<Received> {
    let owned = |header: Header<'_>| Received {
        kind: header.kind,
        flags: header.flags,
        sequence: header.sequence,
        port: header.port,
        payload: header.payload.to_vec(),
    };
    headers(bytes).map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut buffer = Buffer::new();
        buffer.message(7, 5, 9, |message| {
            message
                .raw(&[1, 2, 3, 4])
                .string(1, "abc")
                .nested(2, |inner| {
                    inner.be32(3, 0x0102_0304).u32(4, 77);
                });
        });
        let messages = split(buffer.bytes());
        assert_eq!(messages.len(), 1);
        assert_eq!(
            (messages[0].kind, messages[0].flags, messages[0].sequence),
            (7, 5, 9)
        );
        let attributes = Attributes::after(&messages[0].payload, 4);
        assert_eq!(attributes.string(1).as_deref(), Some("abc"));
        let inner = Attributes::nested(attributes.get(2).unwrap());
        assert_eq!(inner.be32(3), Some(0x0102_0304));
        assert_eq!(inner.u32(4), Some(77));
    }

    #[test]
    fn broken_bytes_end_the_reading() {
        assert!(split(&[1, 2, 3]).is_empty());
        assert!(split(&[255; 32]).is_empty());
        assert_eq!(Attributes::nested(&[200, 0, 1, 0, 9]).next(), None);
        assert_eq!(Attributes::nested(&[2, 0, 1, 0, 9]).next(), None);
    }
}
