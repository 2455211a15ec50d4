//! JSON with line breaks, for people; the order of the fields stays as it is.

/// The same JSON with two blanks for each level, and no new line at the end.
pub(super) fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut level = 0usize;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                out.push(byte);
                while let Some(byte) = bytes.next() {
                    out.push(byte);
                    match byte {
                        b'\\' => out.extend(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                out.push(byte);
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                match bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    Some(end) => out.push(end),
                    None => {
                        level += 1;
                        new_line(&mut out, level);
                    }
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                new_line(&mut out, level);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, level);
            }
            b':' => out.extend_from_slice(b": "),
            blank if blank.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, level: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * level, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_where_gos_are() {
        let json = br#"{"kind":"A","b":[1,{"c":"x\"{,"}],"d":{},"e":[ ]}"#;
        let expected = "{\n  \"kind\": \"A\",\n  \"b\": [\n    1,\n    {\n      \"c\": \"x\\\"{,\"\n    }\n  ],\n  \
                        \"d\": {},\n  \"e\": []\n}";
        assert_eq!(String::from_utf8(indented(json)).unwrap(), expected);
        assert_eq!(indented(expected.as_bytes()), expected.as_bytes());
    }
}
