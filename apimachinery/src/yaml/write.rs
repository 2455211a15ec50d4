//! Writes trees as YAML, byte for byte as upstream's library does.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::resolve::{Plain, is_base_60, resolve};

/// Lines are folded at the first blank behind this column.
const WIDTH: usize = 80;

/// A tree as a YAML document.
pub fn write(value: &Value) -> String {
    let mut writer = Writer { out: String::new() };
    match value {
        Value::Object(map) if !map.is_empty() => writer.map(map, 0, false),
        Value::Array(items) if !items.is_empty() => writer.list(items, 0, false),
        scalar => {
            writer.scalar(scalar, 0);
            writer.out.push('\n');
        }
    }
    writer.out
}

struct Writer {
    out: String,
}

impl Writer {
    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// Entries at `indent`; the first one goes on the line begun when `inline`.
    fn map(&mut self, map: &Map<String, Value>, indent: usize, inline: bool) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by(|a, b| natural_order(a.0, b.0));
        for (i, (key, value)) in entries.into_iter().enumerate() {
            if i > 0 || !inline {
                self.pad(indent);
            }
            self.text(key, indent, true);
            self.out.push(':');
            match value {
                Value::Object(map) if !map.is_empty() => {
                    self.out.push('\n');
                    self.map(map, indent + 2, false);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.out.push('\n');
                    self.list(items, indent, false);
                }
                scalar => {
                    self.out.push(' ');
                    self.scalar(scalar, indent);
                    self.out.push('\n');
                }
            }
        }
    }

    fn list(&mut self, items: &[Value], indent: usize, inline: bool) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 || !inline {
                self.pad(indent);
            }
            self.out.push_str("- ");
            match item {
                Value::Object(map) if !map.is_empty() => self.map(map, indent + 2, true),
                Value::Array(items) if !items.is_empty() => self.list(items, indent + 2, true),
                scalar => {
                    self.scalar(scalar, indent);
                    self.out.push('\n');
                }
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) => self.text(text, indent, false),
            Value::Object(_) => self.out.push_str("{}"),
            Value::Array(_) => self.out.push_str("[]"),
            other => self.out.push_str(&other.to_string()),
        }
    }

    /// A text in the plainest style that reads back as itself.
    fn text(&mut self, text: &str, indent: usize, key: bool) {
        let shape = Shape::of(text);
        let means_text = resolve(text) == Plain::Text && !is_base_60(text);
        if text.contains('\n') {
            if key || !shape.block {
                self.double_quoted(text, indent, key);
            } else {
                self.literal(text, indent);
            }
        } else if !means_text {
            self.double_quoted(text, indent, key);
        } else if shape.plain {
            self.folded(text, indent, key);
        } else if shape.single_quoted {
            self.out.push('\'');
            self.folded(&text.replace('\'', "''"), indent, key);
            self.out.push('\'');
        } else {
            self.double_quoted(text, indent, key);
        }
    }

    fn column(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.out[line..].chars().count()
    }

    /// Plain text, broken at single blanks behind the width.
    fn folded(&mut self, text: &str, indent: usize, key: bool) {
        let chars: Vec<char> = text.chars().collect();
        let mut column = self.column();
        let mut after_blank = false;
        for (i, &c) in chars.iter().enumerate() {
            let next = chars.get(i + 1);
            let breaks = c == ' '
                && !key
                && !after_blank
                && column > WIDTH
                && i > 0
                && next.is_some_and(|n| *n != ' ');
            after_blank = c == ' ';
            if breaks {
                self.out.push('\n');
                self.pad(indent + 2);
                column = indent + 2;
            } else {
                self.out.push(c);
                column += 1;
            }
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        let body = match text.strip_suffix('\n') {
            None => {
                self.out.push('-');
                text
            }
            Some(body) => {
                if body.is_empty() || body.ends_with('\n') {
                    self.out.push('+');
                }
                body
            }
        };
        for line in body.split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.pad(indent + 2);
                self.out.push_str(line);
            }
        }
    }

    fn double_quoted(&mut self, text: &str, indent: usize, key: bool) {
        self.out.push('"');
        let chars: Vec<char> = text.chars().collect();
        let mut column = self.column();
        let mut after_blank = false;
        for (i, &c) in chars.iter().enumerate() {
            if c == ' ' {
                let inside = i > 0 && i + 1 < chars.len();
                if !key && !after_blank && column > WIDTH && inside {
                    self.out.push('\n');
                    self.pad(indent + 2);
                    column = indent + 2;
                    if chars[i + 1] == ' ' {
                        self.out.push('\\');
                        column += 1;
                    }
                } else {
                    self.out.push(' ');
                    column += 1;
                }
                after_blank = true;
                continue;
            }
            after_blank = false;
            let before = self.out.len();
            self.escaped(c);
            column += self.out[before..].chars().count();
        }
        self.out.push('"');
    }

    fn escaped(&mut self, c: char) {
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ if is_printable(c) => {
                self.out.push(c);
                return;
            }
            _ => {
                let code = c as u32;
                self.out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                });
                return;
            }
        };
        self.out.push('\\');
        self.out.push(short);
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_end(c: Option<&char>) -> bool {
    c.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(*c))
}

/// Which styles can carry a text.
struct Shape {
    plain: bool,
    single_quoted: bool,
    block: bool,
}

impl Shape {
    fn of(text: &str) -> Shape {
        let chars: Vec<char> = text.chars().collect();
        let last = chars.len().saturating_sub(1);
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut breaks) = (false, false);
        let (mut outer_blank, mut trailing_blank) = (false, false);
        let (mut blank_after_break, mut break_after_blank) = (false, false);
        for (i, &c) in chars.iter().enumerate() {
            let next_ends = is_blank_or_end(chars.get(i + 1));
            let before = i.checked_sub(1).map(|p| chars[p]);
            indicators |= match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`'
                    if i == 0 =>
                {
                    true
                }
                '?' | '-' if i == 0 => next_ends,
                ':' => next_ends,
                '#' => is_blank_or_end(before.as_ref()),
                _ => false,
            };
            special |= !is_printable(c);
            breaks |= is_break(c);
            if c == ' ' {
                outer_blank |= i == 0 || i == last;
                trailing_blank |= i == last;
                blank_after_break |= before.is_some_and(is_break);
            } else if is_break(c) {
                outer_blank |= i == 0 || i == last;
                break_after_blank |= before == Some(' ');
            }
        }
        let spoiled = break_after_blank || special;
        Shape {
            plain: !(text.is_empty()
                || outer_blank
                || blank_after_break
                || spoiled
                || breaks
                || indicators),
            single_quoted: !(blank_after_break || spoiled),
            block: !(trailing_blank || spoiled),
        }
    }
}

/// Keys as people count: `a2` before `a10`, letters behind everything else.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut after_digit = false;
    for i in 0..a.len().min(b.len()) {
        let (x, y) = (a[i], b[i]);
        if x == y {
            after_digit = x.is_numeric();
            continue;
        }
        match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => return x.cmp(&y),
            // Behind a digit the number ends where a letter stands: it is the smaller one.
            (true, false) if after_digit => return Ordering::Less,
            (true, false) => return Ordering::Greater,
            (false, true) if after_digit => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        let number = |chars: &[char]| -> (usize, u128) {
            let digits: Vec<u128> = chars[i..]
                .iter()
                .map_while(|c| c.to_digit(10).map(u128::from))
                .collect();
            // A zero within a number counts by its place, one that leads does not.
            let within = (x == '0' || y == '0')
                && chars[..i]
                    .iter()
                    .rev()
                    .take_while(|c| c.is_ascii_digit())
                    .any(|c| *c != '0');
            let start = u128::from(within);
            let value = digits
                .iter()
                .fold(start, |n, d| n.saturating_mul(10).saturating_add(*d));
            (digits.len(), value)
        };
        let ((x_len, x_value), (y_len, y_value)) = (number(&a), number(&b));
        return x_value
            .cmp(&y_value)
            .then(x_len.cmp(&y_len))
            .then(x.cmp(&y));
    }
    a.len().cmp(&b.len())
}
