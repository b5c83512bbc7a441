//! Tables as wide as the terminal. Words are broken only if there is no other way: a user could not copy
//! a broken path or name.

use comfy_table::{
    Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets::NOTHING,
};
use textwrap::core::display_width;

use super::printable::Printable;

const MIN_COLUMNS: u16 = 60;
/// The width if standard output is not a terminal: wide enough that nothing is wrapped, because scripts
/// read lines.
const COLUMNS_WITHOUT_TERMINAL: u16 = 400;

/// A space on either side of a cell.
const PADDING: usize = 2;

/// The width that a column of sentences needs to be easy to read.
const COMFORTABLE_WIDTH: usize = 24;

/// A table: a header and rows.
#[derive(Clone, Debug)]
pub(super) struct Grid<'a> {
    columns: Vec<Column<'a>>,
}

#[derive(Clone, Debug)]
struct Column<'a> {
    header: &'a str,
    cells: Vec<Printable>,
    /// The rows whose cell is shown in red.
    alerts: Vec<usize>,
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

    /// Shows the cells of the last column in red, in the rows where `alerts` is true.
    #[must_use]
    pub(super) fn with_alerts(mut self, alerts: &[bool]) -> Self {
        if let Some(column) = self.columns.last_mut() {
            let rows = alerts.iter().enumerate().filter(|(_, alert)| **alert);
            column.alerts = rows.map(|(row, _)| row).collect();
        }
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
        self.columns.push(Column { header, cells, alerts: Vec::new() });
        self
    }

    /// Returns the columns' minimum widths, as `min_width` computes them, if they fit into `columns`.
    fn fit(&self, columns: u16, min_width: fn(&Column<'a>) -> usize) -> Option<Vec<u16>> {
        let widths = self.columns.iter().map(|column| u16::try_from(PADDING + min_width(column)));
        let widths: Vec<u16> = widths.collect::<Result<_, _>>().ok()?;
        let sum: usize = widths.iter().copied().map(usize::from).sum();
        (sum <= usize::from(columns)).then_some(widths)
    }

    fn render(&self, columns: u16) -> Printable {
        Printable::table(self.align(columns))
    }

    fn align(&self, columns: u16) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // anstream removes the colours where they are not wanted.
        table.enforce_styling();
        table.set_width(columns);
        table.set_header(self.columns.iter().map(|column| column.header));
        let rows = self.columns.iter().map(|column| column.cells.len()).max().unwrap_or_default();
        for row in 0..rows {
            table.add_row(self.columns.iter().map(|column| column.cell(row)));
        }
        let comfortable = self.fit(columns, Column::comfortable_width);
        let min_widths = comfortable.or_else(|| self.fit(columns, Column::longest_word));
        for (column, width) in table.column_iter_mut().zip(min_widths.unwrap_or_default()) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
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

    fn comfortable_width(&self) -> usize {
        let longest = self.texts().flat_map(str::lines).map(display_width).max();
        self.longest_word().max(longest.unwrap_or_default().min(COMFORTABLE_WIDTH))
    }

    /// Returns a cell. The states of a sink have colours that are readable on a light and on a dark
    /// background: the bright variants, and yellow, are not.
    fn cell(&self, row: usize) -> Cell {
        let text = self.cells[row].as_str();
        let cell = Cell::new(text);
        match text {
            _ if self.alerts.contains(&row) => cell.fg(Color::DarkRed),
            "current" => cell.fg(Color::DarkGreen),
            "stale" => cell.fg(Color::DarkRed),
            "unknown" => cell.fg(Color::DarkMagenta),
            _ => cell,
        }
    }
}

/// Prints the first of `grids` that is easy to read at the width of the terminal, or else the last one,
/// which needs the least width.
pub(super) fn print_first_that_fits(grids: &[Grid<'_>]) {
    let terminal = Table::new().width();
    let columns = terminal.map_or(COLUMNS_WITHOUT_TERMINAL, |width| width.max(MIN_COLUMNS));
    let fits = |grid: &&Grid<'_>| grid.fit(columns, Column::comfortable_width).is_some();
    if let Some(grid) = grids.iter().find(fits).or(grids.last()) {
        super::write_stdout(&grid.render(columns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_only_when_they_do_not_fit() {
        let grid = Grid::new()
            .with("A", ["prod/worker/qstash-token (eu-central-1)"])
            .with("B", ["the organization's own list of repositories is kept"])
            .with("C", ["on restart"]);
        for columns in [60, 70, 90, 200] {
            let rendered = grid.align(columns);
            for word in ["prod/worker/qstash-token", "organization's", "repositories", "restart"] {
                assert!(rendered.contains(word), "{columns}:\n{rendered}");
            }
            assert!(rendered.lines().all(|line| display_width(line) <= usize::from(columns)));
        }
        let narrow = Grid::new().with("A", ["a-word-for-which-there-is-no-room"]).align(20);
        assert!(narrow.lines().all(|line| display_width(line) <= 20), "{narrow}");
    }
}
