//! Wrapped text, in the two ways in which the two outputs wrap it.

/// Breaks lines between words so that they have at most `limit` letters; longer words stay whole.
pub fn words(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let (mut used, mut word, mut space) = (0, String::new(), String::new());
    let length = |text: &str| text.chars().count();
    for letter in text.chars() {
        if letter == '\n' {
            if !word.is_empty() || used + length(&space) <= limit {
                out.push_str(&space);
            }
            out.push_str(&word);
            out.push('\n');
            used = 0;
            word.clear();
            space.clear();
        } else if letter.is_whitespace() && letter != '\u{a0}' {
            if space.is_empty() || !word.is_empty() {
                used += length(&space) + length(&word);
                out.push_str(&space);
                out.push_str(&word);
                space.clear();
                word.clear();
            }
            space.push(letter);
        } else {
            word.push(letter);
            if used + length(&space) + length(&word) > limit && length(&word) < limit {
                out.push('\n');
                used = 0;
                space.clear();
            }
        }
    }
    if !word.is_empty() || used + length(&space) <= limit {
        out.push_str(&space);
    }
    out.push_str(&word);
    out
}

/// Lines that are being made of words.
#[derive(Default)]
struct Lines {
    done: Vec<String>,
    line: String,
    /// The last word of the line ends with a colon.
    colon: bool,
}

impl Lines {
    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.done.push(std::mem::take(&mut self.line));
            self.colon = false;
        }
    }

    fn add(&mut self, word: &str, limit: usize) {
        if !self.line.is_empty() && self.line.len() + 1 + word.len() > limit {
            self.flush();
        }
        if !self.line.is_empty() {
            self.line.push(' ');
        }
        self.line.push_str(word);
        self.colon = word.ends_with(':');
    }
}

/// Joins lines into paragraphs of at most `limit` bytes a line; keeps lists, indented blocks and
/// empty lines as they are.
pub fn paragraphs(text: &str, limit: usize) -> Vec<String> {
    let mut lines = Lines::default();
    for part in text.split('\n') {
        let bare = part.trim();
        if part.starts_with("    ") {
            lines.flush();
            lines.done.push(part.to_owned());
            continue;
        }
        if bare.is_empty() && !lines.done.is_empty() {
            lines.flush();
            lines.done.push(String::new());
            continue;
        }
        if lines.colon || bare.is_empty() || is_bullet(bare) {
            lines.flush();
        }
        for word in part.split_whitespace() {
            lines.add(word, limit);
        }
    }
    lines.flush();
    lines.done
}

/// Whether a line looks like the item of a list: `- a`, `* a`, `1. a`, `1 a`.
fn is_bullet(line: &str) -> bool {
    let Some((mark, _)) = line.split_once(char::is_whitespace) else {
        return false;
    };
    let digits = mark.strip_suffix('.').unwrap_or(mark);
    matches!(mark, "-" | "*")
        || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Puts blanks before every line.
pub fn indent(text: &str, amount: usize) -> String {
    let pad = " ".repeat(amount);
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}
