//! The wire format: numbers, lengths, fields one after the other.

/// The value of a field, as the wire has it.
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    pub(super) fn number(self) -> Result<u64, String> {
        match self {
            Wire::Varint(number) => Ok(number),
            _ => Err("proto: wrong wireType".to_owned()),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err("proto: wrong wireType".to_owned()),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }
}

/// The fields of a message, one after the other.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(u64, Wire<'a>), String> {
        let (tag, rest) = varint(self.0)?;
        let (wire, rest) = match tag & 7 {
            0 => {
                let (number, rest) = varint(rest)?;
                (Wire::Varint(number), rest)
            }
            1 => {
                let (bits, rest) = rest.split_first_chunk::<8>().ok_or_else(eof)?;
                (Wire::Fixed64(u64::from_le_bytes(*bits)), rest)
            }
            2 => {
                let (length, rest) = varint(rest)?;
                let length = usize::try_from(length).map_err(|_| eof())?;
                let (bytes, rest) = rest.split_at_checked(length).ok_or_else(eof)?;
                (Wire::Bytes(bytes), rest)
            }
            5 => (Wire::Fixed32, rest.get(4..).ok_or_else(eof)?),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        self.0 = rest;
        Ok((tag >> 3, wire))
    }
}

fn eof() -> String {
    "unexpected EOF".to_owned()
}

/// A number at the beginning of the bytes, and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), String> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[index + 1..]));
        }
    }
    Err(eof())
}

/// The first field with this number.
pub(super) fn first(message: &[u8], number: u64) -> Result<Option<Wire<'_>>, String> {
    for field in Reader(message) {
        let (own, wire) = field?;
        if own == number {
            return Ok(Some(wire));
        }
    }
    Ok(None)
}

/// Appends a number, seven bits a byte.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a field that is a number.
pub(super) fn put_number(out: &mut Vec<u8>, tag: u16, number: u64) {
    put_varint(out, u64::from(tag) << 3);
    put_varint(out, number);
}

/// Appends a field of eight bytes.
pub(super) fn put_fixed64(out: &mut Vec<u8>, tag: u16, bits: u64) {
    put_varint(out, u64::from(tag) << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends the number and length of a field whose bytes follow.
pub(super) fn put_head(out: &mut Vec<u8>, tag: u16, length: usize) {
    put_varint(out, u64::from(tag) << 3 | 2);
    put_varint(out, length as u64);
}

/// Appends a field of bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, tag: u16, bytes: &[u8]) {
    put_head(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut out = Vec::new();
        put_number(&mut out, 1, u64::MAX);
        put_bytes(&mut out, 300, b"text");
        put_fixed64(&mut out, 3, 7);
        let mut fields = Reader(&out);
        let (number, wire) = fields.next().unwrap().unwrap();
        assert_eq!((number, wire.number()), (1, Ok(u64::MAX)));
        let (number, wire) = fields.next().unwrap().unwrap();
        assert_eq!((number, wire.text()), (300, Ok("text")));
        assert!(matches!(fields.next(), Some(Ok((3, Wire::Fixed64(7))))));
        assert!(fields.next().is_none());
    }

    #[test]
    fn a_message_that_ends_too_early_is_refused() {
        for bytes in [
            &b"\x08"[..],
            b"\x0a\x05ab",
            b"\x09\x01",
            b"\x0d\x01",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(Reader(bytes).any(|field| field.is_err()), "{bytes:?}");
        }
    }
}
