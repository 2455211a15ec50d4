//! Words and symbols of a label selector.

/// What a piece of a selector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Error,
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    GreaterThan,
    Identifier,
    In,
    LessThan,
    NotEquals,
    NotIn,
    Open,
}

fn literal(text: &str) -> Option<Token> {
    Some(match text {
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::GreaterThan,
        "in" => Token::In,
        "<" => Token::LessThan,
        "!=" => Token::NotEquals,
        "notin" => Token::NotIn,
        "(" => Token::Open,
        _ => return None,
    })
}

fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The tokens of `text`, ending with [`Token::End`].
pub(super) fn scan(text: &str) -> Vec<(Token, String)> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_blank);
    while let Some(first) = rest.chars().next() {
        let (token, word, length) = if is_symbol(first) {
            let run: &str = &rest[..rest.find(|c| !is_symbol(c)).unwrap_or(rest.len())];
            // The longest symbol that begins here; "!!" begins with no longer one than "!".
            match (1..=run.len().min(2))
                .rev()
                .find_map(|n| Some((literal(&run[..n])?, n)))
            {
                Some((token, n)) => (token, run[..n].to_owned(), n),
                None => (
                    Token::Error,
                    format!("error expected: keyword found '{run}'"),
                    run.len(),
                ),
            }
        } else {
            let end = rest
                .find(|c| is_symbol(c) || is_blank(c))
                .unwrap_or(rest.len());
            let word = &rest[..end];
            (
                literal(word).unwrap_or(Token::Identifier),
                word.to_owned(),
                end,
            )
        };
        tokens.push((token, word));
        rest = rest[length..].trim_start_matches(is_blank);
    }
    tokens.push((Token::End, String::new()));
    tokens
}
