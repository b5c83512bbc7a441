//! Groups the messages of a report: one that is the same for several places of a sink is printed once.

use std::collections::{HashMap, HashSet};
use std::iter::once;

use tokensink_engine::{Report, SinkReport};

/// The names of a report's sinks, by the form in which its messages contain them: `NAME (PLACE`.
#[derive(Debug)]
pub(super) struct SinkNames<'a>(HashMap<String, &'a str>);

/// The parts of a message about one place of a sink: `not ready: NAME (PLACE): REASON`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SinkMessage<'a> {
    before: &'a str,
    name: &'a str,
    reason: &'a str,
}

impl<'a> SinkNames<'a> {
    pub(super) fn of(sinks: &'a [SinkReport]) -> Self {
        let named = |sink: &'a SinkReport| (format!("{} ({}", sink.name, sink.place), &*sink.name);
        Self(sinks.iter().map(named).collect())
    }

    fn find<'b>(&self, line: &'b str) -> Option<SinkMessage<'b>>
    where
        'a: 'b,
    {
        let (head, reason) = line.split_once("): ")?;
        let starts = once(0).chain(head.match_indices(": ").map(|(colon, _)| colon + 2));
        let mut names = starts.filter_map(|start| Some((start, *self.0.get(&head[start..])?)));
        names.next().map(|(start, name)| SinkMessage { before: &head[..start], name, reason })
    }

    /// Returns `lines`, with equal messages about several places of a sink combined into one.
    pub(super) fn group(&self, lines: &[String]) -> Vec<String> {
        let mut groups: Vec<(&str, usize)> = Vec::new();
        let mut seen = HashMap::new();
        for line in lines {
            let first = match self.find(line) {
                Some(message) => *seen.entry(message).or_insert(groups.len()),
                None => groups.len(),
            };
            match groups.get_mut(first) {
                Some((_, places)) => *places += 1,
                None => groups.push((line, 1)),
            }
        }
        groups.into_iter().map(|(line, places)| self.describe(line, places)).collect()
    }

    fn describe(&self, line: &str, places: usize) -> String {
        match self.find(line) {
            Some(SinkMessage { before, name, reason }) if places > 1 => {
                format!("{before}{name}: {places} places: {reason}")
            }
            _ => line.to_owned(),
        }
    }
}

/// Returns the reasons that the errors and warnings of `report` contain.
pub(super) fn reasons(report: &Report) -> HashSet<&str> {
    let names = SinkNames::of(&report.sinks);
    let lines = report.errors.iter().chain(&report.warnings);
    lines.filter_map(|line| Some(names.find(line)?.reason)).collect()
}
