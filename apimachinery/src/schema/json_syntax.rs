//! What is wrong with malformed JSON, in the words of Go's scanner.

/// Checks that `bytes` are one JSON value. The error is Go's.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner { bytes, position: 0 };
    scanner.blanks();
    scanner.value()?;
    scanner.blanks();
    match scanner.peek() {
        None => Ok(()),
        Some(_) => Err(scanner.invalid("after top-level value")),
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.position += 1;
        }
    }

    /// The present character is out of place.
    fn invalid(&self, context: &str) -> String {
        let Some(byte) = self.peek() else {
            return "unexpected end of JSON input".to_owned();
        };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            _ => {
                // Go looks at single bytes, as if each were a character.
                let quoted = crate::field::quote(&char::from(byte).to_string());
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        format!("invalid character {shown} {context}")
    }

    fn value(&mut self) -> Result<(), String> {
        // Nesting is followed by hand, so that deep input cannot exhaust the stack.
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                Some(b'{') => {
                    self.position += 1;
                    self.blanks();
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        open.push(b'}');
                        continue;
                    }
                    self.position += 1;
                }
                Some(b'[') => {
                    self.position += 1;
                    self.blanks();
                    if self.peek() != Some(b']') {
                        open.push(b']');
                        continue;
                    }
                    self.position += 1;
                }
                Some(b'"') => self.text()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.invalid("looking for beginning of value")),
            }
            // A value is complete: close what ends here, or go on to the next one.
            loop {
                let Some(&end) = open.last() else {
                    return Ok(());
                };
                self.blanks();
                match self.peek() {
                    Some(b',') => {
                        self.position += 1;
                        if end == b'}' {
                            self.blanks();
                            self.key()?;
                        }
                        break;
                    }
                    Some(byte) if byte == end => {
                        self.position += 1;
                        open.pop();
                    }
                    _ if end == b'}' => return Err(self.invalid("after object key:value pair")),
                    _ => return Err(self.invalid("after array element")),
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), String> {
        if self.peek() != Some(b'"') {
            return Err(self.invalid("looking for beginning of object key string"));
        }
        self.text()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.invalid("after object key"));
        }
        self.position += 1;
        Ok(())
    }

    fn text(&mut self) -> Result<(), String> {
        self.position += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.position += 1;
                    match self.peek() {
                        Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {
                            self.position += 1;
                        }
                        Some(b'u') => {
                            self.position += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                                    return Err(self.invalid("in \\u hexadecimal character escape"));
                                }
                                self.position += 1;
                            }
                        }
                        _ => return Err(self.invalid("in string escape code")),
                    }
                }
                Some(byte) if byte >= 0x20 => self.position += 1,
                _ => return Err(self.invalid("in string literal")),
            }
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.position += 1;
        }
    }

    fn number(&mut self) -> Result<(), String> {
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        match self.peek() {
            Some(b'0') => self.position += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.invalid("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(self.invalid("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.invalid(&format!(
                    "in literal {word} (expecting '{}')",
                    char::from(expected)
                )));
            }
            self.position += 1;
        }
        Ok(())
    }
}
