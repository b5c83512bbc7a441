//! The conformance checks. Each is a separate function, so that a plugin can run one alone.
//!
//! A check returns a violation instead of panicking, so that the checks themselves can be tested.

use tokensink_core::{
    Content, Fingerprint, Inspection, Preparation, Receipt, SinkErrorKind, Token, TokenSink,
    TokenWriter,
};

use crate::printed::{Printed, error_chain};
use crate::{Evidence, SinkFixture, Violation};

/// Values with the form of real tokens: base64 with padding and with characters that URLs escape.
const FIRST: &str = "eyJVc2VySUQiOiJsYXdzIiwiUGFzc3dvcmQiOiJmaXJzdC8rMDEyMzQ1Njc4OSJ9Cg==";
const SECOND: &str = "eyJVc2VySUQiOiJsYXdzIiwiUGFzc3dvcmQiOiJzZWNvbmQtXzk4NzY1NDMyMSJ9+/w=";
const EXTERNAL: &str = "eyJVc2VySUQiOiJzb21lIiwiUGFzc3dvcmQiOiJlbHNlJ3MtMTEyMjMzNDQ1NSJ9Cg==";

/// No plugin has an option of this name.
const NO_OPTION: &str = "no_such_option";

/// Runs all checks and returns every violation.
///
/// # Errors
///
/// The violations of all failed checks.
pub async fn assert_conformance(fixture: &dyn SinkFixture) -> Result<(), Vec<Violation>> {
    let outcomes = [
        unknown_option_is_rejected_by_name(fixture),
        prepare_changes_nothing(fixture).await,
        prove_changes_no_value(fixture).await,
        write_is_visible_to_inspect(fixture).await,
        writing_twice_equals_once(fixture).await,
        newer_write_wins(fixture).await,
        other_value_is_never_reported_as_the_token(fixture).await,
        receipt_reveals_an_external_write(fixture).await,
        nothing_printable_contains_a_token(fixture).await,
    ];
    let violations: Vec<Violation> = outcomes.into_iter().filter_map(Result::err).collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// Checks that a table with an unknown option is rejected, with an error that names the option.
///
/// # Errors
///
/// The violation.
pub fn unknown_option_is_rejected_by_name(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("an unknown option is rejected by name");
    let mut table = fixture.table();
    table.insert(NO_OPTION.to_owned(), true.into());
    let Err(errors) = fixture.factory().build(table, &fixture.context()) else {
        return check.fail("the table was accepted");
    };
    let names_it = errors
        .iter()
        .any(|error| error.kind() == SinkErrorKind::Config && error.option() == Some(NO_OPTION));
    check.require(names_it, || {
        let messages: Vec<String> = errors.iter().map(|error| error_chain(error)).collect();
        format!("no error names the option: {}", messages.join("; "))
    })
}

/// Checks that building, preparing, inspecting and surveying a sink do not change the target.
///
/// # Errors
///
/// The violation.
pub async fn prepare_changes_nothing(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("prepare changes nothing");
    fixture.overwrite(EXTERNAL).await;
    let before = fixture.snapshot().await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    check.require(fixture.snapshot().await == before, || {
        "the target differs after a preparation".to_owned()
    })?;
    drop(preparation);
    check.inspect(sink.as_ref(), None).await?;
    // A survey may fail, but it must not change anything.
    let _ = sink.survey().await;
    drop(sink);
    check.require(fixture.snapshot().await == before, || {
        "the target differs after an inspection, a survey, or a preparation without a write"
            .to_owned()
    })
}

/// Checks that the proof of a write does not change the target, and that a write succeeds after it.
///
/// # Errors
///
/// The violation.
pub async fn prove_changes_no_value(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("prove changes no value");
    fixture.overwrite(EXTERNAL).await;
    let before = fixture.snapshot().await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    if let Err(error) = preparation.writer.prove().await {
        return check.fail(&format!("prove failed: {}", error_chain(&error)));
    }
    check.require(fixture.snapshot().await == before, || {
        "the target differs after prove".to_owned()
    })?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await
}

/// Checks that a written value is stored, and that `inspect` reports it as far as the fixture's
/// evidence allows.
///
/// # Errors
///
/// The violation.
pub async fn write_is_visible_to_inspect(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("a write is visible to inspect");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await?;
    let content = check.inspect(check.sink(fixture)?.as_ref(), None).await?.content;
    let is_correct = match fixture.evidence() {
        Evidence::Value => is_value(&content, FIRST),
        Evidence::Receipt | Evidence::Nothing => matches!(content, Content::Unknown { .. }),
    };
    check.require(is_correct, || format!("without a receipt, inspect returned {content:?}"))
}

/// Checks that a repeated write, with the same preparation or a new one, changes nothing.
///
/// # Errors
///
/// The violation.
pub async fn writing_twice_equals_once(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("writing twice equals once");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    check.write(preparation.writer.as_ref(), FIRST).await?;
    let once = fixture.snapshot().await;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.require(fixture.snapshot().await == once, || {
        "the target differs after a repeated write".to_owned()
    })?;
    check.finds_ours(fixture, FIRST, &receipt).await?;
    let again = check.sink(fixture)?;
    let preparation = check.prepare(again.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await
}

/// Checks that the later of two writes wins, also if both use one preparation.
///
/// # Errors
///
/// The violation.
pub async fn newer_write_wins(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("a newer write wins");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    check.write(preparation.writer.as_ref(), FIRST).await?;
    let receipt = check.write(preparation.writer.as_ref(), SECOND).await?;
    check.stores(fixture, SECOND).await?;
    check.finds_ours(fixture, SECOND, &receipt).await?;
    // Writes the first token again: a sink that remembers its writes must not skip this one.
    let preparation = check.prepare(sink.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    check.stores(fixture, FIRST).await?;
    check.finds_ours(fixture, FIRST, &receipt).await?;
    let content = check.inspect(sink.as_ref(), None).await?.content;
    check.require(!is_value(&content, SECOND), || {
        format!("after an older token was overwritten, inspect returned it: {content:?}")
    })
}

/// Checks that another value is never reported as the token, and that a value that cannot be read is
/// reported as unknown.
///
/// # Errors
///
/// The violation.
pub async fn other_value_is_never_reported_as_the_token(
    fixture: &dyn SinkFixture,
) -> Result<(), Violation> {
    let check = Check("another value is never reported as the token");
    fixture.overwrite(EXTERNAL).await;
    let content = check.inspect(check.sink(fixture)?.as_ref(), None).await?.content;
    let is_correct = match fixture.evidence() {
        Evidence::Value => is_value(&content, EXTERNAL),
        Evidence::Receipt | Evidence::Nothing => matches!(content, Content::Unknown { .. }),
    };
    check.require(is_correct, || format!("inspect returned {content:?}"))
}

/// Checks that a receipt proves nothing after an external write, and that `inspect` reports the write
/// where the provider shows it.
///
/// # Errors
///
/// The violation.
pub async fn receipt_reveals_an_external_write(fixture: &dyn SinkFixture) -> Result<(), Violation> {
    let check = Check("a receipt reveals an external write");
    fixture.overwrite(EXTERNAL).await;
    let sink = check.sink(fixture)?;
    let preparation = check.prepare(sink.as_ref()).await?;
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    fixture.overwrite(EXTERNAL).await;
    let content = check.inspect(check.sink(fixture)?.as_ref(), Some(&receipt)).await?.content;
    let is_correct = match fixture.evidence() {
        Evidence::Value => is_value(&content, EXTERNAL),
        Evidence::Receipt => content == Content::ChangedSinceOurWrite,
        Evidence::Nothing => {
            matches!(content, Content::ChangedSinceOurWrite | Content::Unknown { .. })
        }
    };
    check.require(is_correct, || format!("inspect returned {content:?}"))
}

/// Checks that neither the token nor the replaced value appears in `Debug`, labels, warnings, receipts
/// or errors. Call it last, because it obstructs the target.
///
/// # Errors
///
/// The violation.
pub async fn nothing_printable_contains_a_token(
    fixture: &dyn SinkFixture,
) -> Result<(), Violation> {
    let check = Check("nothing printable contains a token");
    fixture.overwrite(EXTERNAL).await;
    let (sink, mut printed) = (check.sink(fixture)?, Printed::default());
    printed.sink(sink.as_ref());
    let preparation = check.prepare(sink.as_ref()).await?;
    printed.preparation(&preparation);
    let receipt = check.write(preparation.writer.as_ref(), FIRST).await?;
    printed.receipt(&receipt);
    printed.debug("an inspection", &check.inspect(sink.as_ref(), Some(&receipt)).await?);
    printed.debug("an inspection", &check.inspect(sink.as_ref(), None).await?);
    match sink.survey().await {
        Ok(survey) => printed.debug("a survey", &survey),
        Err(error) => printed.error(&error),
    }

    fixture.obstruct().await;
    match preparation.writer.write(&Token::new(SECOND)).await {
        Ok(receipt) => printed.receipt(&receipt),
        Err(error) => printed.error(&error),
    }
    match sink.prepare().await {
        Ok(preparation) => printed.preparation(&preparation),
        Err(error) => printed.error(&error),
    }
    match sink.inspect(Some(&receipt)).await {
        Ok(inspection) => printed.debug("an inspection", &inspection),
        Err(error) => printed.error(&error),
    }
    // Printed again, because the sink and the preparation may have stored a token in the meantime.
    printed.sink(sink.as_ref());
    printed.preparation(&preparation);
    let tokens = [FIRST, SECOND, EXTERNAL].map(Token::new);
    match printed.leak(&tokens) {
        Some(what) => check.fail(&format!("{what} contains one")),
        None => Ok(()),
    }
}

fn is_value(content: &Content, value: &str) -> bool {
    matches!(content, Content::Value(held) if held.fingerprint == Fingerprint::of(value))
}

/// The name of a check, with methods for the steps that the checks share.
#[derive(Clone, Copy)]
struct Check(&'static str);

impl Check {
    fn fail<T>(self, how: &str) -> Result<T, Violation> {
        // A sink's message may contain a token, and the output of tests is logged.
        let redact = |how: String, value| Token::new(value).redact(&how).into_owned();
        let how = [FIRST, SECOND, EXTERNAL].into_iter().fold(how.to_owned(), redact);
        Err(Violation { check: self.0, how })
    }

    fn require(self, holds: bool, how: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { self.fail(&how()) }
    }

    fn sink(self, fixture: &dyn SinkFixture) -> Result<Box<dyn TokenSink>, Violation> {
        match fixture.factory().build(fixture.table(), &fixture.context()) {
            Ok(sinks) => match sinks.into_iter().next() {
                Some(sink) => Ok(sink),
                None => self.fail("the table builds no sink"),
            },
            Err(errors) => {
                let messages: Vec<String> = errors.iter().map(|error| error_chain(error)).collect();
                self.fail(&format!("the table was rejected: {}", messages.join("; ")))
            }
        }
    }

    async fn prepare(self, sink: &dyn TokenSink) -> Result<Preparation, Violation> {
        match sink.prepare().await {
            Ok(preparation) => Ok(preparation),
            Err(error) => self.fail(&format!("prepare failed: {}", error_chain(&error))),
        }
    }

    async fn write(self, writer: &dyn TokenWriter, value: &str) -> Result<Receipt, Violation> {
        match writer.write(&Token::new(value)).await {
            Ok(receipt) => Ok(receipt),
            Err(error) => self.fail(&format!("the write failed: {}", error_chain(&error))),
        }
    }

    async fn inspect(
        self,
        sink: &dyn TokenSink,
        last: Option<&Receipt>,
    ) -> Result<Inspection, Violation> {
        match sink.inspect(last).await {
            Ok(inspection) => Ok(inspection),
            Err(error) => self.fail(&format!("inspect failed: {}", error_chain(&error))),
        }
    }

    async fn stores(self, fixture: &dyn SinkFixture, value: &str) -> Result<(), Violation> {
        let stored = fixture.stored().await;
        self.require(stored.as_deref() == Some(value), || match &stored {
            None => "an application reads no value after the write".to_owned(),
            Some(_) => "an application reads another value than the one written".to_owned(),
        })
    }

    /// Inspects with a new sink, like the next run of the program.
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
        self.require(is_found, || format!("after the write, inspect returned {content:?}"))
    }
}
