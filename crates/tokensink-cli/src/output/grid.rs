//! Rows under a header, as wide as the terminal. No word is broken where that can be avoided: a path
//! or a name that is broken could not be copied.

use comfy_table::{
    Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets::NOTHING,
};
use textwrap::core::display_width;

use super::printable::Printable;

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
    cells: Vec<Printable>,
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
    pub(super) fn with(
        self,
        header: &'a str,
        cells: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let lines = |cell: &_| Printable::line(AsRef::as_ref(cell));
        self.with_column(header, cells.into_iter().map(|cell| lines(&cell)).collect())
    }

    /// Adds a column whose cells have two lines.
    #[must_use]
    pub(super) fn with_stacked(
        self,
        header: &'a str,
        cells: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Self {
        let stacked = |(upper, lower): (_, _)| {
            let lower = Printable::line(AsRef::as_ref(&lower));
            Printable::line(AsRef::as_ref(&upper))
                .arranged(|upper| format!("{upper}\n"))
                .followed_by(&lower)
        };
        self.with_column(header, cells.into_iter().map(stacked).collect())
    }

    fn with_column(mut self, header: &'a str, cells: Vec<Printable>) -> Self {
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

    fn drawn(&self, columns: u16) -> Printable {
        Printable::table(self.aligned(columns))
    }

    fn aligned(&self, columns: u16) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // anstream decides whether colour reaches the reader.
        table.enforce_styling();
        table.set_width(columns);
        table.set_header(self.columns.iter().map(|column| column.header));
        let rows = self.columns.iter().map(|column| column.cells.len()).max().unwrap_or_default();
        for row in 0..rows {
            table.add_row(self.columns.iter().map(|column| cell(column.cells[row].as_str())));
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
        self.cells.iter().map(Printable::as_str).chain([self.header])
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
        super::write_stdout(&grid.drawn(columns));
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
            let drawn = grid.aligned(columns);
            for word in ["prod/worker/qstash-token", "organization's", "repositories", "restart"] {
                assert!(drawn.contains(word), "{columns}:\n{drawn}");
            }
            assert!(drawn.lines().all(|line| display_width(line) <= usize::from(columns)));
        }
        let narrow = Grid::new().with("A", ["a-word-for-which-there-is-no-room"]).aligned(20);
        assert!(narrow.lines().all(|line| display_width(line) <= 20), "{narrow}");
    }
}
