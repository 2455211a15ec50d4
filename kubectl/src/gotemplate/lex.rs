//! Takes templates apart: text, and the words of actions.

/// The longest template that is read.
const LIMIT: usize = 1 << 20;

/// A word of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `if`, `printf`, `true`.
    Word(String),
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// `$` or `$name`
    Variable(String),
    /// A text as it is written, and what it means.
    Quoted(String, String),
    /// A number, as it is written.
    Number(String),
    /// `|`, `:=`, `=`, `,`, `(`, `)`.
    Sign(&'static str),
    /// Blanks between words.
    Blank,
}

/// A token with the offset at which it begins.
pub type Placed = (usize, Token);

/// What is wrong, and where.
pub type Fault = (usize, String);

/// The tokens of a template.
pub fn tokens(source: &str) -> Result<Vec<Placed>, Fault> {
    if source.len() > LIMIT {
        return Err((0, "the template is too long".to_owned()));
    }
    let mut out: Vec<Placed> = Vec::new();
    let mut at = 0;
    let mut trim = false;
    loop {
        let rest = &source[at..];
        let open = rest.find("{{");
        let mut text = &rest[..open.unwrap_or(rest.len())];
        if trim {
            text = text.trim_start_matches(blank);
        }
        let Some(open) = open else {
            push_text(&mut out, at, text);
            return Ok(out);
        };
        let inside = &rest[open + 2..];
        let trims = inside.starts_with('-') && inside[1..].starts_with(blank);
        if trims {
            text = text.trim_end_matches(blank);
        }
        push_text(&mut out, at, text);
        let start = at + open;
        at = start + 2 + if trims { 2 } else { 0 };
        if source[at..].trim_start_matches(blank).starts_with("/*")
            && (trims || source[at..].starts_with("/*"))
        {
            (at, trim) = comment(source, at, start)?;
            continue;
        }
        out.push((start, Token::Open));
        (at, trim) = action(source, at, start, &mut out)?;
    }
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn push_text(out: &mut Vec<Placed>, at: usize, text: &str) {
    if !text.is_empty() {
        out.push((at, Token::Text(text.to_owned())));
    }
}

/// Behind a comment; whether the text that follows is trimmed.
fn comment(source: &str, at: usize, start: usize) -> Result<(usize, bool), Fault> {
    let Some(end) = source[at..].find("*/") else {
        return Err((start, "unclosed comment".to_owned()));
    };
    let after = at + end + 2;
    match closing(&source[after..]) {
        Some((length, trim)) => Ok((after + length, trim)),
        None => Err((start, "comment ends before closing delimiter".to_owned())),
    }
}

/// `}}` or ` -}}`: its length, and whether it trims.
fn closing(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with("}}") {
        return Some((2, false));
    }
    let mut characters = rest.chars();
    let first = characters.next().is_some_and(blank);
    (first && characters.as_str().starts_with("-}}")).then_some((4, true))
}

fn action(
    source: &str,
    mut at: usize,
    start: usize,
    out: &mut Vec<Placed>,
) -> Result<(usize, bool), Fault> {
    let mut depth = 0i32;
    loop {
        let rest = &source[at..];
        if let Some((length, trim)) = closing(rest) {
            if depth > 0 {
                return Err((at, "unclosed left paren".to_owned()));
            }
            out.push((at, Token::Close));
            return Ok((at + length, trim));
        }
        let Some(first) = rest.chars().next() else {
            return Err((start, "unclosed action".to_owned()));
        };
        let (length, token) = match first {
            c if blank(c) => {
                // The last blank may belong to ` -}}`.
                let run = rest.len() - rest.trim_start_matches(blank).len();
                let trims = rest[run..].starts_with("-}}") && run > 1;
                (run - usize::from(trims), Token::Blank)
            }
            '"' | '`' | '\'' => quoted(rest, first).map_err(|why| (at, why))?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            '.' => {
                let name = word(&rest[1..]);
                match name {
                    "" => (1, Token::Dot),
                    name => (1 + name.len(), Token::Field(name.to_owned())),
                }
            }
            '$' => {
                let name = word(&rest[1..]);
                (1 + name.len(), Token::Variable(format!("${name}")))
            }
            '0'..='9' | '+' | '-' => number(rest),
            c if c.is_alphabetic() || c == '_' => {
                let name = word(rest);
                (name.len(), Token::Word(name.to_owned()))
            }
            '(' => {
                depth += 1;
                (1, Token::Sign("("))
            }
            ')' => {
                depth -= 1;
                if depth < 0 {
                    return Err((at, "unexpected right paren".to_owned()));
                }
                (1, Token::Sign(")"))
            }
            '|' => (1, Token::Sign("|")),
            ',' => (1, Token::Sign(",")),
            '=' => (1, Token::Sign("=")),
            ':' if rest.starts_with(":=") => (2, Token::Sign(":=")),
            ':' => return Err((at, "expected :=".to_owned())),
            other => {
                let code = u32::from(other);
                return Err((
                    at,
                    format!("unrecognized character in action: U+{code:04X} '{other}'"),
                ));
            }
        };
        out.push((at, token));
        at += length;
    }
}

fn word(rest: &str) -> &str {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    &rest[..end.unwrap_or(rest.len())]
}

fn number(rest: &str) -> (usize, Token) {
    let body = rest.trim_start_matches(['+', '-']);
    let sign = rest.len() - body.len();
    let hex = body.starts_with("0x") || body.starts_with("0X");
    let mut end = 0;
    let mut before = ' ';
    for c in body.chars() {
        let exponent = !hex && matches!(before, 'e' | 'E') && matches!(c, '+' | '-');
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent) {
            break;
        }
        end += c.len_utf8();
        before = c;
    }
    (sign + end, Token::Number(rest[..sign + end].to_owned()))
}

fn quoted(rest: &str, quote: char) -> Result<(usize, Token), String> {
    let unterminated = match quote {
        '`' => "unterminated raw quoted string",
        '\'' => "unterminated character constant",
        _ => "unterminated quoted string",
    };
    let mut meaning = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, c)) = characters.next() {
        match c {
            c if c == quote => {
                let written = rest[..=index].to_owned();
                let token = match (quote, meaning.chars().next()) {
                    // A character is a number.
                    ('\'', Some(c)) => Token::Number(u32::from(c).to_string()),
                    _ => Token::Quoted(written, meaning),
                };
                return Ok((index + 1, token));
            }
            '\\' if quote != '`' => {
                let (_, escaped) = characters.next().ok_or(unterminated)?;
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    other => {
                        meaning.push(simple_escape(other).ok_or("invalid syntax")?);
                        continue;
                    }
                };
                let code: String = characters.by_ref().take(digits).map(|(_, c)| c).collect();
                let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                meaning.push(code.ok_or("invalid syntax")?);
            }
            '\n' if quote != '`' => break,
            c => meaning.push(c),
        }
    }
    Err(unterminated.to_owned())
}

fn simple_escape(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '"' | '\'' => c,
        _ => return None,
    })
}
