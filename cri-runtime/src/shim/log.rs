//! Container logs in CRI format: `<RFC 3339 time> <stream> <P|F> <text>`, one line each.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A line longer than this is cut into partial lines.
pub const MAX_LINE: usize = 16 << 10;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Turns a stream of bytes into log lines.
#[derive(Debug)]
pub struct Lines {
    stream: Stream,
    pending: Vec<u8>,
}

impl Lines {
    /// Lines of `stream`.
    pub fn new(stream: Stream) -> Self {
        Lines {
            stream,
            pending: Vec::new(),
        }
    }

    /// Appends to `out` the lines that `data` completes.
    pub fn push(&mut self, data: &[u8], time: &str, out: &mut Vec<u8>) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let mut text = text;
            while self.pending.len() + text.len() > MAX_LINE {
                let (head, tail) = text.split_at(MAX_LINE - self.pending.len());
                self.pending.extend_from_slice(head);
                self.emit(time, b'P', out);
                text = tail;
            }
            self.pending.extend_from_slice(text);
            if whole {
                self.emit(time, b'F', out);
            }
        }
    }

    /// Appends to `out` what was left without a line's end.
    pub fn finish(&mut self, time: &str, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.emit(time, b'P', out);
        }
    }

    fn emit(&mut self, time: &str, tag: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(time.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.stream.name().as_bytes());
        out.extend_from_slice(&[b' ', tag, b' ']);
        out.append(&mut self.pending);
        out.push(b'\n');
    }
}

/// A container's log file.
///
/// The kubelet rotates logs: it renames the file and has it opened anew. Should it not do so, the file is
/// renamed here when it has become several times as long, and only the newest few are kept.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
    limit: u64,
}

/// How many renamed files are kept.
const KEPT: usize = 4;

impl LogFile {
    /// Opens the file to append, with the directories above it. `limit` 0 is no limit.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let (file, length) = open(path)?;
        Ok(LogFile {
            path: path.to_owned(),
            file,
            length,
            limit,
        })
    }

    /// Opens the path anew after somebody renamed the file away.
    pub fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.length) = open(&self.path)?;
        Ok(())
    }

    /// Writes whole lines. A full disk loses lines, it never stops the container.
    pub fn write(&mut self, lines: &[u8]) {
        let _ = self.file.write_all(lines);
        self.length += lines.len() as u64;
        if self.limit > 0 && self.length >= self.limit {
            let _ = self.rotate();
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S%6f");
        let mut renamed = self.path.clone().into_os_string();
        renamed.push(format!(".{time}"));
        std::fs::rename(&self.path, &renamed)?;
        self.reopen()?;
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(());
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let mut old: Vec<PathBuf> = std::fs::read_dir(directory)?
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        old.sort();
        for path in old.iter().rev().skip(KEPT) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The present time as logs write it.
pub fn timestamp() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(chunks: &[&[u8]]) -> String {
        let mut lines = Lines::new(Stream::Stdout);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.push(chunk, "T", &mut out);
        }
        lines.finish("T", &mut out);
        String::from_utf8(out).expect("logs of text are text")
    }

    #[test]
    fn lines_are_tagged_full_and_leftovers_partial() {
        let table: &[(&[&[u8]], &str)] = &[
            (&[b"one\n"], "T stdout F one\n"),
            (&[b"a\nb\n"], "T stdout F a\nT stdout F b\n"),
            (&[b"hel", b"lo\n"], "T stdout F hello\n"),
            (&[b"\n"], "T stdout F \n"),
            (&[b"no end"], "T stdout P no end\n"),
            (&[], ""),
        ];
        for (chunks, expected) in table {
            assert_eq!(render(chunks), *expected);
        }
    }

    #[test]
    fn a_long_line_is_cut_into_partial_lines() {
        let long = vec![b'x'; MAX_LINE + 10];
        let mut input = long.clone();
        input.push(b'\n');
        let text = render(&[&input]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), "T stdout P ".len() + MAX_LINE);
        assert_eq!(lines[1], "T stdout F xxxxxxxxxx");
    }

    #[test]
    fn a_log_that_nobody_rotates_keeps_its_newest_files() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("0.log");
        let mut log = LogFile::open(&path, 10).expect("opens");
        for number in 0..8 {
            log.write(format!("number {number}\n").as_bytes());
            log.write(b"\n");
        }
        let count = std::fs::read_dir(directory.path())
            .expect("readable")
            .count();
        assert_eq!(count, 1 + KEPT);
        assert_eq!(std::fs::read(&path).expect("readable"), b"");
        log.write(b"more\n");
        assert_eq!(std::fs::read(&path).expect("readable"), b"more\n");
    }
}
