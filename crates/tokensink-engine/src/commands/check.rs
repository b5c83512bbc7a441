//! `check`: could a reset finish, and does every sink hold the live token now?

use crate::coordinator::Coordinator;
use crate::inspection::Write;
use crate::plan::Plan;
use crate::{Command, Outcome, Report, SinkReport, State, TokenChange, time_in_words};

impl Coordinator {
    /// The report on a plan: which sinks are ready, and which hold another value.
    pub fn check(&self, plan: &Plan) -> Report {
        let mut report = self.review(Command::Check, plan);
        for (sink, prepared) in report.sinks.iter_mut().zip(&plan.prepared) {
            if let Some(doubt) = prepared.doubt() {
                sink.evidence = format!("{}; {doubt}", sink.evidence);
            }
        }
        if !report.errors.is_empty() {
            report.next.push("mend what is named above; nothing was changed".to_owned());
        }
        if let Err(unfinished) = self.nothing_unfinished() {
            report.errors.extend(unfinished.errors);
            report.next.extend(unfinished.next);
        }
        if !report.errors.is_empty() {
            return self.publish(report.ending(Outcome::Unchanged));
        }
        let drifted = |sink: &SinkReport| sink.required && sink.state == State::Stale;
        let outcome = if report.sinks.iter().any(drifted) {
            report.next.push("`tokensink sync` writes the live token to every sink".to_owned());
            Outcome::Drift
        } else {
            Outcome::Ready
        };
        self.publish(self.with_forecast(report, plan).ending(outcome))
    }

    /// The report on a plan that nothing stands in the way of.
    fn with_forecast(&self, report: Report, plan: &Plan) -> Report {
        let forecast = plan.forecast();
        let mut report = report.expecting(&forecast);
        report.dominated_by = forecast.dominated_by;
        report.next.extend(forecast.advice);
        let left_out = self.left_out();
        report.warnings.extend(
            left_out.map(|names| format!("left out: {names}: a reset leaves a dead token there")),
        );
        if plan.prepared.iter().any(|prepared| prepared.doubt().is_some()) {
            report.next.push(
                "`tokensink reset --rehearse` writes the current token first, which proves what \
                 only a write can"
                    .to_owned(),
            );
        }
        report
    }

    /// Whether the outage that `plan` leads to is as short as its owner demands. Asked again
    /// before the reset is sent: a plan may have become a slower one.
    ///
    /// # Errors
    ///
    /// The report, when it is not.
    pub fn allows(&self, plan: &Plan) -> Result<(), Report> {
        let forecast = plan.forecast();
        let most = match self.timing.max_outage {
            Some(most) if forecast.whole > most => most,
            _ => return Ok(()),
        };
        let mut report = self.review(Command::Reset, plan).expecting(&forecast);
        let dominated_by = forecast.dominated_by.unwrap_or_default();
        report.errors.push(format!(
            "the sinks would be stale for about {}, longer than the {} allowed; what takes longest: \
             {dominated_by}",
            time_in_words(forecast.whole),
            time_in_words(most)
        ));
        report.next.extend(forecast.advice);
        report.next.push("allow more with --max-outage, or take fewer sinks at once".to_owned());
        Err(self.publish(report.ending(Outcome::Unchanged)))
    }

    /// The report of a command that stopped because a required sink is not ready.
    pub fn refuse(&self, command: Command, plan: &Plan) -> Report {
        let mut report = self.review(command, plan).ending(Outcome::Unchanged);
        report.next.push("mend what is named above and run it again".to_owned());
        self.publish(report)
    }

    /// What a plan says about every sink, without a judgement on the whole.
    pub(crate) fn review(&self, command: Command, plan: &Plan) -> Report {
        let mut report = Report::new(command, Outcome::Ready);
        let fingerprint = plan.token().fingerprint();
        report.token = TokenChange { before: Some(fingerprint.clone()), after: Some(fingerprint) };
        for prepared in &plan.prepared {
            let (state, evidence) = prepared.state();
            let mut sink = SinkReport::of(&prepared.sink, state, evidence);
            if let Some(obstacle) = prepared.obstacle() {
                sink.error = Some(obstacle.to_string());
                let named = format!("{} ({}): {obstacle}", sink.name, sink.place);
                if sink.required {
                    report.errors.push(format!("not ready: {named}"));
                } else {
                    report.warnings.push(format!("not ready, not required: {named}"));
                }
            }
            report.warnings.extend(prepared.warnings());
            report.sinks.push(sink);
        }
        report
    }
}

impl crate::prepare::Prepared {
    /// The live token stands there, or nobody can tell: a rehearsal changes no value there.
    pub(crate) fn may_rehearse(&self) -> bool {
        let state = crate::inspection::conclude(Write::None, &self.holds).0;
        self.writer.is_ok() && state != State::Stale
    }
}
