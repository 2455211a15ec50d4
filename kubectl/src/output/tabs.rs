//! Aligns tab-separated text as Go's `text/tabwriter` does with blanks and a padding of two.
//!
//! A column is a run of consecutive lines that have a cell, ended by a tab, at the same place;
//! each run has a width of its own.

const PADDING: usize = 2;

/// Aligns a text.
pub fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut aligner = Aligner {
        lines: &lines,
        widths: Vec::new(),
        out: String::with_capacity(text.len() * 2),
    };
    aligner.block(0, lines.len());
    aligner.out.pop();
    aligner.out
}

struct Aligner<'a> {
    lines: &'a [Vec<&'a str>],
    widths: Vec<usize>,
    out: String,
}

impl Aligner<'_> {
    fn has_cell(&self, line: usize, column: usize) -> bool {
        column + 1 < self.lines[line].len()
    }

    fn block(&mut self, mut first: usize, end: usize) {
        let column = self.widths.len();
        let mut line = first;
        while line < end {
            if !self.has_cell(line, column) {
                line += 1;
                continue;
            }
            self.write(first, line);
            first = line;
            let mut width = 0;
            while line < end && self.has_cell(line, column) {
                width = width.max(self.lines[line][column].chars().count() + PADDING);
                line += 1;
            }
            self.widths.push(width);
            self.block(first, line);
            self.widths.pop();
            first = line;
        }
        self.write(first, end);
    }

    fn write(&mut self, first: usize, end: usize) {
        for line in &self.lines[first..end] {
            for (index, cell) in line.iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(index) {
                    let blanks = width.saturating_sub(cell.chars().count());
                    self.out.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            self.out.push('\n');
        }
    }
}
