//! Columns of text, as Go's tabwriter sets them for kubectl.

/// Blanks after the widest cell of a column.
const PADDING: usize = 3;
/// The least width of a column, padding included.
const LEAST: usize = 6;

/// Sets rows in columns; the last cell of a row is not padded. Widths are kept from one call to
/// the next, so that rows that come later stand below the others.
#[derive(Default)]
pub struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// The text of some rows, each with its line end.
    pub fn format(&mut self, rows: &[Vec<String>]) -> String {
        for row in rows {
            let padded = row.len().saturating_sub(1);
            for (index, cell) in row.iter().take(padded).enumerate() {
                if self.widths.len() <= index {
                    self.widths.push(LEAST);
                }
                self.widths[index] = self.widths[index].max(cell.chars().count() + PADDING);
            }
        }
        let mut text = String::new();
        for row in rows {
            for (index, cell) in row.iter().enumerate() {
                text.push_str(cell);
                if index + 1 < row.len() {
                    let blanks = self.widths[index].saturating_sub(cell.chars().count());
                    text.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            text.push('\n');
        }
        text
    }
}
