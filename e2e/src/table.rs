//! Tables as kubectl prints them, with what differs from run to run masked.

/// The cells of each line. Columns stand at least two blanks apart.
pub fn cells(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// The cells with ages, addresses, allocated node ports and generated names masked.
pub fn masked(text: &str) -> Vec<Vec<String>> {
    let mut rows = cells(text);
    for cell in rows.iter_mut().flatten() {
        *cell = mask(cell);
    }
    rows
}

fn mask(cell: &str) -> String {
    if is_age(cell) {
        return "<age>".to_owned();
    }
    if cell.parse::<std::net::Ipv4Addr>().is_ok() {
        return "<ip>".to_owned();
    }
    if let Some((port, rest)) = cell.split_once(':')
        && let Some((allocated, protocol)) = rest.split_once('/')
        && allocated.parse::<u16>().is_ok()
        && port.parse::<u16>().is_ok()
    {
        return format!("{port}:<port>/{protocol}");
    }
    generated(cell).unwrap_or_else(|| cell.to_owned())
}

/// `5s`, `4m3s`, `2d`, and such after `(`…`ago)` of a restart count.
fn is_age(cell: &str) -> bool {
    let mut digits = false;
    for character in cell.chars() {
        match character {
            '0'..='9' => digits = true,
            's' | 'm' | 'h' | 'd' | 'y' if digits => digits = false,
            _ => return false,
        }
    }
    !cell.is_empty() && !digits
}

/// `web-5d4f8c8b6c-x7k2p` as `web-<hash>-<rand>`.
fn generated(cell: &str) -> Option<String> {
    const ALPHABET: &str = "bcdfghjklmnpqrstvwxz2456789";
    let of_alphabet = |part: &str| part.chars().all(|letter| ALPHABET.contains(letter));
    let (rest, random) = cell.rsplit_once('-')?;
    let (name, hash) = rest.rsplit_once('-')?;
    (random.len() == 5
        && of_alphabet(random)
        && (6..=10).contains(&hash.len())
        && of_alphabet(hash))
    .then(|| format!("{name}-<hash>-<rand>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_masked() {
        for (cell, expected) in [
            ("4m3s", "<age>"),
            ("17s", "<age>"),
            ("1/1", "1/1"),
            ("0", "0"),
            ("10.96.12.3", "<ip>"),
            ("80:30123/TCP", "80:<port>/TCP"),
            ("443/TCP", "443/TCP"),
            ("np-pods-5d4f8c8b6c-x7k2p", "np-pods-<hash>-<rand>"),
            ("np-pods", "np-pods"),
            ("<none>", "<none>"),
        ] {
            assert_eq!(mask(cell), expected, "{cell}");
        }
    }

    #[test]
    fn a_line_is_split_at_two_blanks() {
        assert_eq!(
            cells("NAME   READY\na b     1/1\n"),
            [["NAME", "READY"], ["a b", "1/1"]]
        );
    }
}
