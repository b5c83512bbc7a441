//! What the sentences of a report say about its sinks. Of many places of one sink the same is told
//! once.

use std::collections::{HashMap, HashSet};
use std::iter::once;

use tokensink_engine::{Report, SinkReport};

/// The sinks of a report, by what they are called in its sentences.
#[derive(Debug)]
pub(super) struct Names<'a>(HashMap<String, &'a str>);

/// A sentence about one place of a sink: `not ready: NAME (PLACE): REASON`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AboutSink<'a> {
    before: &'a str,
    name: &'a str,
    reason: &'a str,
}

impl<'a> Names<'a> {
    pub(super) fn of(sinks: &'a [SinkReport]) -> Self {
        let named = |sink: &'a SinkReport| (format!("{} ({}", sink.name, sink.place), &*sink.name);
        Self(sinks.iter().map(named).collect())
    }

    fn find<'b>(&self, line: &'b str) -> Option<AboutSink<'b>>
    where
        'a: 'b,
    {
        let (head, reason) = line.split_once("): ")?;
        let starts = once(0).chain(head.match_indices(": ").map(|(colon, _)| colon + 2));
        let mut names = starts.filter_map(|start| Some((start, *self.0.get(&head[start..])?)));
        names.next().map(|(start, name)| AboutSink { before: &head[..start], name, reason })
    }

    /// `lines`, with those that say the same of several places of a sink put together.
    pub(super) fn told_once(&self, lines: &[String]) -> Vec<String> {
        let mut told: Vec<(&str, usize)> = Vec::new();
        let mut seen = HashMap::new();
        for line in lines {
            let first = match self.find(line) {
                Some(about) => *seen.entry(about).or_insert(told.len()),
                None => told.len(),
            };
            match told.get_mut(first) {
                Some((_, places)) => *places += 1,
                None => told.push((line, 1)),
            }
        }
        told.into_iter().map(|(line, places)| self.of_places(line, places)).collect()
    }

    fn of_places(&self, line: &str, places: usize) -> String {
        match self.find(line) {
            Some(AboutSink { before, name, reason }) if places > 1 => {
                format!("{before}{name}: {places} places: {reason}")
            }
            _ => line.to_owned(),
        }
    }
}

/// What the errors and warnings of `report` give for reasons.
pub(super) fn reasons(report: &Report) -> HashSet<&str> {
    let names = Names::of(&report.sinks);
    let lines = report.errors.iter().chain(&report.warnings);
    lines.filter_map(|line| Some(names.find(line)?.reason)).collect()
}
