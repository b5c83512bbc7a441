//! The same sentence about many places of one sink is told once.

use tokensink_engine::SinkReport;

/// `lines`, with those that say the same of several places of a sink put together.
pub(super) fn told_once(lines: &[String], sinks: &[SinkReport]) -> Vec<String> {
    let mut told: Vec<Said<'_>> = Vec::new();
    for line in lines {
        let said = Said::of(line, sinks);
        match told.iter_mut().find(|earlier| earlier.is_like(&said)) {
            Some(earlier) => earlier.places += 1,
            None => told.push(said),
        }
    }
    told.iter().map(Said::to_line).collect()
}

/// What a line says, and of which sink.
struct Said<'a> {
    line: &'a str,
    of: Option<(&'a str, &'a str, &'a str)>,
    places: usize,
}

impl<'a> Said<'a> {
    /// Lines about a sink have its name and, in brackets, its place.
    fn of(line: &'a str, sinks: &'a [SinkReport]) -> Self {
        let of = sinks.iter().find_map(|sink| {
            let (before, after) = line.split_once(&format!("{} ({}): ", sink.name, sink.place))?;
            (before.is_empty() || before.ends_with(": ")).then_some((before, &*sink.name, after))
        });
        Self { line, of, places: 1 }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.of.is_some() && self.of == other.of
    }

    fn to_line(&self) -> String {
        match self.of {
            Some((before, name, after)) if self.places > 1 => {
                format!("{before}{name}: {} places: {after}", self.places)
            }
            _ => self.line.to_owned(),
        }
    }
}
