//! The laws. Each is a function of its own, so that a plugin can run one alone.
//!
//! A violation is returned, not panicked with: the laws are tested too.

use tokensink_core::{Holds, PreparedSink, Receipt, SinkErrorKind, Token, TokenSink};

use crate::words::{Words, chain};
use crate::{Evidence, Target, Violation};

/// Values with the shape of real tokens: base64 with padding, characters that URLs escape.
const FIRST: &str = "eyJVc2VySUQiOiJsYXdzIiwiUGFzc3dvcmQiOiJmaXJzdC8rMDEyMzQ1Njc4OSJ9Cg==";
const SECOND: &str = "eyJVc2VySUQiOiJsYXdzIiwiUGFzc3dvcmQiOiJzZWNvbmQtXzk4NzY1NDMyMSJ9+/w=";
const STRANGERS: &str = "eyJVc2VySUQiOiJzb21lIiwiUGFzc3dvcmQiOiJlbHNlJ3MtMTEyMjMzNDQ1NSJ9Cg==";

/// No plugin has an option of this name.
const NO_OPTION: &str = "no_such_option";

/// Runs all laws, and returns every violation.
///
/// # Errors
///
/// Each law that is broken, and how.
pub async fn obeys_the_laws(target: &dyn Target) -> Result<(), Vec<Violation>> {
    let outcomes = [
        an_unknown_option_is_refused_by_name(target),
        prepare_changes_nothing(target).await,
        a_write_is_seen_by_inspect(target).await,
        writing_twice_equals_once(target).await,
        a_newer_write_wins(target).await,
        another_value_is_seen_as_another(target).await,
        a_receipt_tells_a_foreign_overwrite(target).await,
        nothing_printable_carries_a_token(target).await,
    ];
    let violations: Vec<Violation> = outcomes.into_iter().filter_map(Result::err).collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// A table with an option that the kind does not know is refused, and the option is named.
///
/// # Errors
///
/// How the law is broken.
pub fn an_unknown_option_is_refused_by_name(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("an unknown option is refused by name");
    let mut table = target.table();
    table.insert(NO_OPTION.to_owned(), true.into());
    let Err(errors) = target.factory().build(table, &target.context()) else {
        return law.broken("the table was taken as it is");
    };
    let named = |kind, text: &str| kind == SinkErrorKind::Config && text.contains(NO_OPTION);
    law.demand(errors.iter().any(|error| named(error.kind(), &error.to_string())), || {
        let said: Vec<String> = errors.iter().map(|error| chain(error)).collect();
        format!("the refusal does not name it: {}", said.join("; "))
    })
}

/// Building, preparing and inspecting leave the place as it was.
///
/// # Errors
///
/// How the law is broken.
pub async fn prepare_changes_nothing(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("prepare changes nothing");
    target.overwrite(STRANGERS).await;
    let before = target.snapshot().await;
    let sink = law.sink(target)?;
    let prepared = law.prepare(sink.as_ref()).await?;
    law.demand(target.snapshot().await == before, || "a preparation left a trace".to_owned())?;
    drop(prepared);
    law.inspect(sink.as_ref(), FIRST, None).await?;
    drop(sink);
    law.demand(target.snapshot().await == before, || {
        "an inspection, or an end without a write, left a trace".to_owned()
    })
}

/// What was written is there, and `inspect` says so as far as it can be told; never more.
///
/// # Errors
///
/// How the law is broken.
pub async fn a_write_is_seen_by_inspect(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("a write is seen by inspect");
    target.overwrite(STRANGERS).await;
    let sink = law.sink(target)?;
    let receipt = law.write(law.prepare(sink.as_ref()).await?.as_ref(), FIRST).await?;
    law.stores(target, FIRST).await?;
    law.sees_ours(target, FIRST, &receipt).await?;
    let holds = law.inspect(law.sink(target)?.as_ref(), FIRST, None).await?;
    let is_honest = match target.evidence() {
        Evidence::Value => holds == Holds::Token,
        Evidence::Receipt | Evidence::Nothing => matches!(holds, Holds::Unknown { .. }),
    };
    law.demand(is_honest, || format!("without a receipt, inspect said {holds:?}"))
}

/// A write that is repeated, by the same preparation or a new one, changes nothing more.
///
/// # Errors
///
/// How the law is broken.
pub async fn writing_twice_equals_once(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("writing twice equals once");
    target.overwrite(STRANGERS).await;
    let sink = law.sink(target)?;
    let prepared = law.prepare(sink.as_ref()).await?;
    law.write(prepared.as_ref(), FIRST).await?;
    let once = target.snapshot().await;
    let receipt = law.write(prepared.as_ref(), FIRST).await?;
    law.demand(target.snapshot().await == once, || {
        "the place is not the same after a repeated write".to_owned()
    })?;
    law.sees_ours(target, FIRST, &receipt).await?;
    let again = law.sink(target)?;
    let receipt = law.write(law.prepare(again.as_ref()).await?.as_ref(), FIRST).await?;
    law.stores(target, FIRST).await?;
    law.sees_ours(target, FIRST, &receipt).await
}

/// After two writes of different tokens the later one is there, also when both were prepared
/// together.
///
/// # Errors
///
/// How the law is broken.
pub async fn a_newer_write_wins(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("a newer write wins");
    target.overwrite(STRANGERS).await;
    let sink = law.sink(target)?;
    let prepared = law.prepare(sink.as_ref()).await?;
    law.write(prepared.as_ref(), FIRST).await?;
    let receipt = law.write(prepared.as_ref(), SECOND).await?;
    law.stores(target, SECOND).await?;
    law.sees_ours(target, SECOND, &receipt).await?;
    // And back: a memory of earlier writes must not swallow a later one.
    let receipt = law.write(law.prepare(sink.as_ref()).await?.as_ref(), FIRST).await?;
    law.stores(target, FIRST).await?;
    law.sees_ours(target, FIRST, &receipt).await?;
    let older = law.inspect(sink.as_ref(), SECOND, None).await?;
    law.demand(!is_claim(&older), || format!("of the older token, inspect said {older:?}"))
}

/// A value that is not the token is seen as another one; where it cannot be read, nothing is
/// claimed.
///
/// # Errors
///
/// How the law is broken.
pub async fn another_value_is_seen_as_another(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("another value is seen as another");
    target.overwrite(STRANGERS).await;
    let holds = law.inspect(law.sink(target)?.as_ref(), FIRST, None).await?;
    let is_honest = match target.evidence() {
        Evidence::Value => holds == Holds::AnotherValue,
        Evidence::Receipt | Evidence::Nothing => {
            matches!(holds, Holds::AnotherValue | Holds::Unknown { .. })
        }
    };
    law.demand(is_honest, || format!("inspect said {holds:?}"))
}

/// After somebody else's write our receipt proves nothing any more, and where the provider tells,
/// `inspect` says so.
///
/// # Errors
///
/// How the law is broken.
pub async fn a_receipt_tells_a_foreign_overwrite(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("a receipt tells a foreign overwrite");
    target.overwrite(STRANGERS).await;
    let sink = law.sink(target)?;
    let receipt = law.write(law.prepare(sink.as_ref()).await?.as_ref(), FIRST).await?;
    target.overwrite(STRANGERS).await;
    let holds = law.inspect(law.sink(target)?.as_ref(), FIRST, Some(&receipt)).await?;
    let is_honest = match target.evidence() {
        Evidence::Value | Evidence::Receipt => holds == Holds::AnotherValue,
        Evidence::Nothing => matches!(holds, Holds::AnotherValue | Holds::Unknown { .. }),
    };
    law.demand(is_honest, || format!("inspect said {holds:?}"))
}

/// Neither the token nor the value it replaces appears in `Display`, `Debug`, warnings, receipts or
/// errors. It obstructs the target, and so comes last.
///
/// # Errors
///
/// How the law is broken.
pub async fn nothing_printable_carries_a_token(target: &dyn Target) -> Result<(), Violation> {
    let law = Law("nothing printable carries a token");
    target.overwrite(STRANGERS).await;
    let (sink, mut words) = (law.sink(target)?, Words::default());
    words.sink(sink.as_ref());
    let prepared = law.prepare(sink.as_ref()).await?;
    words.prepared(prepared.as_ref());
    let receipt = law.write(prepared.as_ref(), FIRST).await?;
    words.receipt(&receipt);
    words.debug("what inspect says", &law.inspect(sink.as_ref(), FIRST, Some(&receipt)).await?);
    words.debug("what inspect says", &law.inspect(sink.as_ref(), SECOND, None).await?);

    target.obstruct().await;
    match prepared.write(&Token::new(SECOND)).await {
        Ok(receipt) => words.receipt(&receipt),
        Err(error) => words.error(&error),
    }
    match sink.prepare().await {
        Ok(prepared) => words.prepared(prepared.as_ref()),
        Err(error) => words.error(&error),
    }
    match sink.inspect(&Token::new(SECOND), Some(&receipt)).await {
        Ok(holds) => words.debug("what inspect says", &holds),
        Err(error) => words.error(&error),
    }
    // Once more, now that both have seen tokens.
    words.sink(sink.as_ref());
    words.prepared(prepared.as_ref());
    let tokens = [FIRST, SECOND, STRANGERS].map(Token::new);
    match words.leak(&tokens) {
        Some(what) => law.broken(&format!("{what} does")),
        None => Ok(()),
    }
}

/// Whether `inspect` says that the token is there.
fn is_claim(holds: &Holds) -> bool {
    matches!(holds, Holds::Token | Holds::LastWriteIsOurs)
}

/// A law's name, with the steps that laws have in common.
#[derive(Clone, Copy)]
struct Law(&'static str);

impl Law {
    fn broken<T>(self, how: &str) -> Result<T, Violation> {
        let law = self.0;
        // What a sink says may carry what it should not; a test's output goes to logs.
        let redact = |how: String, value| Token::new(value).redact(&how).into_owned();
        let how = [FIRST, SECOND, STRANGERS].into_iter().fold(how.to_owned(), redact);
        Err(Violation { law, how })
    }

    fn demand(self, holds: bool, how: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { self.broken(&how()) }
    }

    fn sink(self, target: &dyn Target) -> Result<Box<dyn TokenSink>, Violation> {
        match target.factory().build(target.table(), &target.context()) {
            Ok(sinks) => match sinks.into_iter().next() {
                Some(sink) => Ok(sink),
                None => self.broken("the table makes no sink"),
            },
            Err(errors) => {
                let said: Vec<String> = errors.iter().map(|error| chain(error)).collect();
                self.broken(&format!("the table was refused: {}", said.join("; ")))
            }
        }
    }

    async fn prepare(self, sink: &dyn TokenSink) -> Result<Box<dyn PreparedSink>, Violation> {
        match sink.prepare().await {
            Ok(prepared) => Ok(prepared),
            Err(error) => self.broken(&format!("prepare failed: {}", chain(&error))),
        }
    }

    async fn write(self, prepared: &dyn PreparedSink, value: &str) -> Result<Receipt, Violation> {
        match prepared.write(&Token::new(value)).await {
            Ok(receipt) => Ok(receipt),
            Err(error) => self.broken(&format!("the write failed: {}", chain(&error))),
        }
    }

    async fn inspect(
        self,
        sink: &dyn TokenSink,
        value: &str,
        last: Option<&Receipt>,
    ) -> Result<Holds, Violation> {
        match sink.inspect(&Token::new(value), last).await {
            Ok(holds) => Ok(holds),
            Err(error) => self.broken(&format!("inspect failed: {}", chain(&error))),
        }
    }

    async fn stores(self, target: &dyn Target, value: &str) -> Result<(), Violation> {
        let stored = target.stored().await;
        self.demand(stored.as_deref() == Some(value), || match &stored {
            None => "an application reads no value after the write".to_owned(),
            Some(_) => "an application reads another value than the one written".to_owned(),
        })
    }

    /// Asks a fresh sink, as the next run of the program would.
    async fn sees_ours(
        self,
        target: &dyn Target,
        value: &str,
        receipt: &Receipt,
    ) -> Result<(), Violation> {
        let holds = self.inspect(self.sink(target)?.as_ref(), value, Some(receipt)).await?;
        let is_seen = match target.evidence() {
            Evidence::Value => holds == Holds::Token,
            Evidence::Receipt => holds == Holds::LastWriteIsOurs,
            Evidence::Nothing => matches!(holds, Holds::Unknown { .. }),
        };
        self.demand(is_seen, || format!("after the write, inspect said {holds:?}"))
    }
}
