//! Rows under a header, as wide as the terminal. No word is broken where that can be avoided: a path
//! or a name that is broken could not be copied.

use std::borrow::Cow;

use comfy_table::{
    Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets::NOTHING,
};
use textwrap::core::display_width;

const NARROWEST: u16 = 60;
/// Where standard output is no terminal, nothing is wrapped: a script or a log reads it.
const UNWRAPPED: u16 = 400;

/// A space on either side of a cell.
const PADDING: usize = 2;

/// Sentences are not squeezed into less, while there is another way.
const COMFORTABLE: usize = 24;

/// What a table shows.
#[derive(Clone, Debug)]
pub(super) struct Grid<'a> {
    columns: Vec<Column<'a>>,
}

#[derive(Clone, Debug)]
struct Column<'a> {
    header: &'a str,
    cells: Vec<Cow<'a, str>>,
}

impl<'a> Grid<'a> {
    pub(super) fn new() -> Self {
        Self { columns: Vec::new() }
    }

    pub(super) fn of<const N: usize>(header: [&'a str; N], rows: &'a [[String; N]]) -> Self {
        let columns = header.into_iter().enumerate();
        columns.fold(Self::new(), |grid, (index, header)| {
            grid.with(header, rows.iter().map(move |row| &row[index]))
        })
    }

    #[must_use]
    pub(super) fn without(mut self, header: &str) -> Self {
        self.columns.retain(|column| column.header != header);
        self
    }

    #[must_use]
    pub(super) fn with<C: Into<Cow<'a, str>>>(
        mut self,
        header: &'a str,
        cells: impl IntoIterator<Item = C>,
    ) -> Self {
        let cells = cells.into_iter().map(Into::into).collect();
        self.columns.push(Column { header, cells });
        self
    }

    /// The least widths of the columns that `least` leaves room for, if all of them fit.
    fn fitted(&self, columns: u16, least: fn(&Column<'a>) -> usize) -> Option<Vec<u16>> {
        let widths = self.columns.iter().map(|column| u16::try_from(PADDING + least(column)));
        let widths: Vec<u16> = widths.collect::<Result<_, _>>().ok()?;
        let sum: usize = widths.iter().copied().map(usize::from).sum();
        (sum <= usize::from(columns)).then_some(widths)
    }

    fn drawn(&self, columns: u16) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // anstream decides whether colour reaches the reader.
        table.enforce_styling();
        table.set_width(columns);
        table.set_header(self.columns.iter().map(|column| column.header));
        let rows = self.columns.iter().map(|column| column.cells.len()).max().unwrap_or_default();
        for row in 0..rows {
            table.add_row(self.columns.iter().map(|column| cell(&column.cells[row])));
        }
        let comfortable = self.fitted(columns, Column::comfortable);
        let fitted = comfortable.or_else(|| self.fitted(columns, Column::longest_word));
        for (column, least) in table.column_iter_mut().zip(fitted.unwrap_or_default()) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

impl Column<'_> {
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.cells.iter().map(AsRef::as_ref).chain([self.header])
    }

    fn longest_word(&self) -> usize {
        let words = self.texts().flat_map(|text| text.split([' ', '\n']));
        words.map(display_width).max().unwrap_or_default()
    }

    fn comfortable(&self) -> usize {
        let longest = self.texts().flat_map(str::lines).map(display_width).max();
        self.longest_word().max(longest.unwrap_or_default().min(COMFORTABLE))
    }
}

/// The states of a sink stand out.
fn cell(text: &str) -> Cell {
    let cell = Cell::new(text);
    match text {
        "current" => cell.fg(Color::Green),
        "stale" => cell.fg(Color::Red),
        "unknown" => cell.fg(Color::Yellow),
        _ => cell,
    }
}

/// Prints the first of `grids` that fits with ease; where none does, the last, which needs least.
pub(super) fn print_first_that_fits(grids: &[Grid<'_>]) {
    let columns = Table::new().width().map_or(UNWRAPPED, |width| width.max(NARROWEST));
    let fits = |grid: &&Grid<'_>| grid.fitted(columns, Column::comfortable).is_some();
    if let Some(grid) = grids.iter().find(fits).or(grids.last()) {
        super::say(&grid.drawn(columns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_broken_while_there_is_room() {
        let grid = Grid::new()
            .with("A", ["prod/worker/qstash-token (eu-central-1)"])
            .with("B", ["the organization's own list of repositories is kept"])
            .with("C", ["on restart"]);
        for columns in [60, 70, 90, 200] {
            let drawn = grid.drawn(columns);
            for word in ["prod/worker/qstash-token", "organization's", "repositories", "restart"] {
                assert!(drawn.contains(word), "{columns}:\n{drawn}");
            }
            assert!(drawn.lines().all(|line| display_width(line) <= usize::from(columns)));
        }
        let narrow = Grid::new().with("A", ["a-word-for-which-there-is-no-room"]).drawn(20);
        assert!(narrow.lines().all(|line| display_width(line) <= 20), "{narrow}");
    }
}
