//! What a caller is told although the request goes on, within what headers can carry.

use std::collections::HashSet;

/// Characters of all warnings together, beyond which each is cut.
const WHOLE: usize = 4 << 10;
/// Characters that are left of a warning that is cut.
const CUT: usize = 256;

/// The warnings of one request, each once, bounded as upstream bounds them.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    texts: Vec<String>,
    known: HashSet<String>,
    /// Characters of all.
    whole: usize,
    /// Characters of all, were each cut.
    cut: usize,
}

impl Warnings {
    /// Keeps a warning, unless it is known or nobody would be told.
    pub(super) fn add(&mut self, text: String) {
        if self.cut >= WHOLE || self.known.contains(&text) {
            return;
        }
        let length = text.chars().count();
        self.whole += length;
        self.cut += length.min(CUT);
        self.known.insert(text.clone());
        self.texts.push(text);
    }

    /// The warnings in the order in which they came.
    pub(super) fn into_texts(self) -> Vec<String> {
        if self.whole <= WHOLE {
            return self.texts;
        }
        let cut = |text: String| match text.char_indices().nth(CUT) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        };
        self.texts.into_iter().map(cut).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_once_and_whole_while_they_are_short() {
        let mut warnings = Warnings::default();
        let long = "é".repeat(1000);
        for text in ["a", "b", "a", &long] {
            warnings.add(text.to_owned());
        }
        assert_eq!(warnings.into_texts(), ["a", "b", &long]);
    }

    #[test]
    fn many_warnings_are_cut_to_what_headers_carry() {
        let mut warnings = Warnings::default();
        for number in 0..100_000 {
            warnings.add(format!("{number} {}", "é".repeat(1000)));
        }
        let texts = warnings.into_texts();
        assert_eq!(texts.len(), WHOLE / CUT);
        assert!(texts.iter().all(|text| text.chars().count() == CUT));
    }
}
