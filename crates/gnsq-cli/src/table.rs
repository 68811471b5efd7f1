//! Tables of plain text.

/// Whether a column is of words or of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The head and the rows, in columns as wide as they need, two spaces apart, each on a line.
pub(crate) fn render<const COLUMNS: usize>(head: [(&str, Align); COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let names = head.map(|(name, _)| name.to_owned());
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        rows.iter().chain([&names]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in [&names].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            let (left, right) = match head[column].1 {
                Align::Left => (cell, &padding),
                Align::Right => (&padding, cell),
            };
            for part in [left, right, "  "] {
                line.push_str(part);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let head = [("NAME", Align::Left), ("N", Align::Right)];
        let rows = [["a".to_owned(), "1000".to_owned()], ["längst".to_owned(), "1".to_owned()]];
        assert_eq!(render(head, &rows), "NAME       N\na       1000\nlängst     1\n");
    }
}
