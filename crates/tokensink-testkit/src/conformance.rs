//! The conformance checks. Each is a function of its own, so that a plugin can run one alone.
//!
//! A violation is returned, not panicked with: the checks are tested too.

use tokensink_core::{
    Content, Fingerprint, Inspection, Preparation, Receipt, SinkErrorKind, Token, TokenSink,
    TokenWriter,
};

use crate::words::{Words, chain};
use crate::{Evidence, SinkFixture, Violation};

/// Values with the form of real tokens: base64 with padding, characters that URLs escape.
const FIRST: &str = "eyJVc2VySUQiOiJsYXdzIiwiUGFzc3dvcmQiOiJmaXJzdC8rMDEyMzQ1Njc4OSJ9Cg==";
const SECOND: &str = "eyJVc2VySUQiOiJsYXdzIiwiUGFzc3dvcmQiOiJzZWNvbmQtXzk4NzY1NDMyMSJ9+/w=";
const EXTERNAL: &str = "eyJVc2VySUQiOiJzb21lIiwiUGFzc3dvcmQiOiJlbHNlJ3MtMTEyMjMzNDQ1NSJ9Cg==";

/// No plugin has an option of this name.
const NO_OPTION: &str = "no_such_option";

/// Runs all checks and returns every violation.
///
/// # Errors
///
/// Each check that fails, and how.
pub async fn assert_conformance(fixture: &dyn SinkFixture) -> Result<(), Vec<Violation>> {
    let outcomes = [
        unknown_option_is_refused_by_name(fixture),
        prepare_changes_nothing(fixture).await,
        prove_changes_no_value(fixture).await,
        write_is_visible_to_inspect(fixture).await,
        writing_twice_equals_once(fixture).await,
        newer_write_wins(fixture).await,
        other_value_is_never_taken_for_the_token(fixture).await,
        receipt_reveals_an_external_write(fixture).await,
        nothing_printable_contains_a_token(fixture).await,
    ];
    let violations: Vec<Violation> = outcomes.into_iter().filter_map(Result::err).collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// A table with an option that the kind does not know is refused, and the option is named.
///
/// # Errors
///
/// How the check fails.
pub fn unknown_option_is_refused_by_name(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("an unknown option is refused by name");
    let mut table = fixture.table();
    table.insert(NO_OPTION.to_owned(), true.into());
    let Err(errors) = fixture.factory().build(table, &fixture.context()) else {
        return check.fail("the table was accepted as it is");
    };
    let names_it = errors
        .iter()
        .any(|error| error.kind() == SinkErrorKind::Config && error.option() == Some(NO_OPTION));
    check.demand(names_it, || {
        let messages: Vec<String> = errors.iter().map(|error| chain(error)).collect();
        format!("the error does not name it: {}", messages.join("; "))
    })
}

/// Building, preparing, inspecting and surveying leave the place as it was.
///
/// # Errors
///
/// How the check fails.
pub async fn prepare_changes_nothing(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("prepare changes nothing");
    fixture.overwrite(EXTERNAL).await;
    let before = fixture.snapshot().await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    check.demand(fixture.snapshot().await == before, || "a preparation left a trace".to_owned())?;
    drop(preparation);
    check.inspect(sink.as_ref(), None).await?;
    // A survey may fail; it may not change anything.
    let _ = sink.survey().await;
    drop(sink);
    check.demand(fixture.snapshot().await == before, || {
        "an inspection, a survey, or an end without a write left a trace".to_owned()
    })
}

/// The proof of a write leaves the place as it was, and a write works after it.
///
/// # Errors
///
/// How the check fails.
pub async fn prove_changes_no_value(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("prove changes no value");
    fixture.overwrite(EXTERNAL).await;
    let before = fixture.snapshot().await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    if let Err(error) = preparation.writer.prove().await {
        return check.fail(&format!("prove failed: {}", chain(&error)));
    }
    check.demand(fixture.snapshot().await == before, || "prove left a trace".to_owned())?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await
}

/// A written value is there, and `inspect` finds it as far as that can be known; never more.
///
/// # Errors
///
/// How the check fails.
pub async fn write_is_visible_to_inspect(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("a write is visible to inspect");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await?;
    let content = check.inspect(check.sink(fixture)?.as_ref(), None).await?.content;
    let is_honest = match fixture.evidence() {
        Evidence::Value => is_value(&content, FIRST),
        Evidence::Receipt | Evidence::Nothing => matches!(content, Content::Unknown { .. }),
    };
    check.demand(is_honest, || format!("without a receipt, inspect returned {content:?}"))
}

/// A write that is repeated, by the same preparation or a new one, changes nothing more.
///
/// # Errors
///
/// How the check fails.
pub async fn writing_twice_equals_once(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("writing twice equals once");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    check.write(preparation.writer.as_ref(), FIRST).await?;
    let once = fixture.snapshot().await;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.demand(fixture.snapshot().await == once, || {
        "the place is not the same after a repeated write".to_owned()
    })?;
    check.finds_ours(fixture, FIRST, &receipt).await?;
    let again = check.sink(fixture)?;
    let preparation = check.prepare(again.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await
}

/// After two writes of different tokens the later one is there, also when both were prepared
/// together.
///
/// # Errors
///
/// How the check fails.
pub async fn newer_write_wins(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("a newer write wins");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    check.write(preparation.writer.as_ref(), FIRST).await?;
    let receipt = check.write(preparation.writer.as_ref(), SECOND).await?;
    check.stores(fixture, SECOND).await?;
    check.finds_ours(fixture, SECOND, &receipt).await?;
    // And back: a memory of earlier writes must not swallow a later one.
    let preparation = check.prepare(sink.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await?;
    let content = check.inspect(sink.as_ref(), None).await?.content;
    check.demand(!is_value(&content, SECOND), || {
        format!("after an older token was overwritten, inspect returned it: {content:?}")
    })
}

/// A value that is not the token is never taken for it; where the value cannot be read, nothing is
/// claimed.
///
/// # Errors
///
/// How the check fails.
pub async fn other_value_is_never_taken_for_the_token(
    fixture: &dyn SinkFixture,
) -> Result<(), Violation> {
    let check = Check("another value is never taken for the token");
    fixture.overwrite(EXTERNAL).await;
    let content = check.inspect(check.sink(fixture)?.as_ref(), None).await?.content;
    let is_honest = match fixture.evidence() {
        Evidence::Value => is_value(&content, EXTERNAL),
        Evidence::Receipt | Evidence::Nothing => matches!(content, Content::Unknown { .. }),
    };
    check.demand(is_honest, || format!("inspect returned {content:?}"))
}

/// After an external write our receipt proves nothing any more, and where the provider shows it,
/// `inspect` returns so.
///
/// # Errors
///
/// How the check fails.
pub async fn receipt_reveals_an_external_write(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("a receipt reveals an external write");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    fixture.overwrite(EXTERNAL).await;
    let content = check.inspect(check.sink(fixture)?.as_ref(), Some(&receipt)).await?.content;
    let is_honest = match fixture.evidence() {
        Evidence::Value => is_value(&content, EXTERNAL),
        Evidence::Receipt => content == Content::ChangedSinceOurWrite,
        Evidence::Nothing => {
            matches!(content, Content::ChangedSinceOurWrite | Content::Unknown { .. })
        }
    };
    check.demand(is_honest, || format!("inspect returned {content:?}"))
}

/// Neither the token nor the value it replaces appears in `Debug`, labels, warnings, receipts or
/// errors. It obstructs the place, and so comes last.
///
/// # Errors
///
/// How the check fails.
pub async fn nothing_printable_contains_a_token(
    fixture: &dyn SinkFixture,
) -> Result<(), Violation> {
    let check = Check("nothing printable contains a token");
    fixture.overwrite(EXTERNAL).await;
    let (sink, mut words) = (check.sink(fixture)?, Words::default());
    words.sink(sink.as_ref());
    let preparation = check.prepare(sink.as_ref()).await?;
    words.preparation(&preparation);
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    words.receipt(&receipt);
    words.debug("an inspection", &check.inspect(sink.as_ref(), Some(&receipt)).await?);
    words.debug("an inspection", &check.inspect(sink.as_ref(), None).await?);
    match sink.survey().await {
        Ok(survey) => words.debug("a survey", &survey),
        Err(error) => words.error(&error),
    }

    fixture.obstruct().await;
    match preparation.writer.write(&Token::new(SECOND)).await {
        Ok(receipt) => words.receipt(&receipt),
        Err(error) => words.error(&error),
    }
    match sink.prepare().await {
        Ok(preparation) => words.preparation(&preparation),
        Err(error) => words.error(&error),
    }
    match sink.inspect(Some(&receipt)).await {
        Ok(inspection) => words.debug("an inspection", &inspection),
        Err(error) => words.error(&error),
    }
    // Again, now that both have seen tokens.
    words.sink(sink.as_ref());
    words.preparation(&preparation);
    let tokens = [FIRST, SECOND, EXTERNAL].map(Token::new);
    match words.leak(&tokens) {
        Some(what) => check.fail(&format!("{what} does")),
        None => Ok(()),
    }
}

fn is_value(content: &Content, value: &str) -> bool {
    matches!(content, Content::Value(held) if held.fingerprint == Fingerprint::of(value))
}

/// A check's name, with the steps that checks have in common.
#[derive(Clone, Copy)]
struct Check(&'static str);

impl Check {
    fn fail<T>(self, how: &str) -> Result<T, Violation> {
        // A sink's text may contain what it should not; a test's output goes to logs.
        let redact = |how: String, value| Token::new(value).redact(&how).into_owned();
        let how = [FIRST, SECOND, EXTERNAL].into_iter().fold(how.to_owned(), redact);
        Err(Violation { check: self.0, how })
    }

    fn demand(self, holds: bool, how: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { self.fail(&how()) }
    }

    fn sink(self, fixture: &dyn SinkFixture) -> Result<Box<dyn TokenSink>, Violation> {
        match fixture.factory().build(fixture.table(), &fixture.context()) {
            Ok(sinks) => match sinks.into_iter().next() {
                Some(sink) => Ok(sink),
                None => self.fail("the table makes no sink"),
            },
            Err(errors) => {
                let messages: Vec<String> = errors.iter().map(|error| chain(error)).collect();
                self.fail(&format!("the table was refused: {}", messages.join("; ")))
            }
        }
    }

    async fn prepare(self, sink: &dyn TokenSink) -> Result<Preparation, Violation> {
        match sink.prepare().await {
            Ok(preparation) => Ok(preparation),
            Err(error) => self.fail(&format!("prepare failed: {}", chain(&error))),
        }
    }

    async fn write(self, writer: &dyn TokenWriter, value: &str) -> Result<Receipt, Violation> {
        match writer.write(&Token::new(value)).await {
            Ok(receipt) => Ok(receipt),
            Err(error) => self.fail(&format!("the write failed: {}", chain(&error))),
        }
    }

    async fn inspect(
        self,
        sink: &dyn TokenSink,
        last: Option<&Receipt>,
    ) -> Result<Inspection, Violation> {
        match sink.inspect(last).await {
            Ok(inspection) => Ok(inspection),
            Err(error) => self.fail(&format!("inspect failed: {}", chain(&error))),
        }
    }

    async fn stores(self, fixture: &dyn SinkFixture, value: &str) -> Result<(), Violation> {
        let stored = fixture.stored().await;
        self.demand(stored.as_deref() == Some(value), || match &stored {
            None => "an application reads no value after the write".to_owned(),
            Some(_) => "an application reads another value than the one written".to_owned(),
        })
    }

    /// Asks a new sink, as the next run of the program would.
    async fn finds_ours(
        self,
        fixture: &dyn SinkFixture,
        value: &str,
        receipt: &Receipt,
    ) -> Result<(), Violation> {
        let content = self.inspect(self.sink(fixture)?.as_ref(), Some(receipt)).await?.content;
        let is_found = match fixture.evidence() {
            Evidence::Value => is_value(&content, value),
            Evidence::Receipt => content == Content::UnchangedSinceOurWrite,
            Evidence::Nothing => matches!(content, Content::Unknown { .. }),
        };
        self.demand(is_found, || format!("after the write, inspect returned {content:?}"))
    }
}
