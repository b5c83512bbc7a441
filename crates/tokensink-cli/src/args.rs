//! The command line: arguments and their help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use tokensink_engine::Command;
use tokensink_http::AllowedHost;

/// The default of `--config`.
pub(crate) const DEFAULT_CONFIG: &str = "tokensink.toml";

/// Reset an Upstash QStash token and write the new one to every place that applications read it from.
///
/// A reset revokes the old token immediately. tokensink first checks that it can write to every place,
/// then resets the token, writes the new one to all places concurrently, and verifies what each of them
/// contains.
#[derive(Debug, Parser)]
#[command(name = "tokensink", version, max_term_width = 100, subcommand_required = true)]
#[command(
    after_help = "Exit codes: 0 success, 1 nothing was changed, 2 wrong arguments or config, 3 partial: run \
`tokensink sync`, 4 unknown which token is live, 5 drift: a sink does not hold the live token."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Read this config file; `-` is standard input
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(crate) config: PathBuf,
    /// Print standard output in this format
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Keep the journal in this directory [env: TOKENSINK_STATE_DIR] [default: tokensink in the user's
    /// state directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Allow this host, which the config file names, to receive credentials or the token; can be
    /// repeated
    #[arg(long = "allow-host", global = true, value_name = "HOST[:PORT]")]
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    #[command(flatten)]
    pub(crate) credentials: CredentialFlags,
}

/// Override `UPSTASH_EMAIL`, `UPSTASH_API_KEY` and the credentials that `upstash login` saved.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Upstash credentials")]
pub(crate) struct CredentialFlags {
    /// Use the account with this email address [env: UPSTASH_EMAIL]
    #[arg(long, global = true, value_name = "EMAIL")]
    pub(crate) upstash_email: Option<String>,
    /// Read the Developer API key from this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "upstash_api_key_env")]
    pub(crate) upstash_api_key_file: Option<PathBuf>,
    /// Read the Developer API key from this environment variable [default: UPSTASH_API_KEY]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) upstash_api_key_env: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people
    Text,
    /// One document for scripts
    Json,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Write a commented tokensink.toml to start from
    Init,
    /// Check whether a reset could finish; changes nothing
    Check(Selection),
    /// Reset the token and write the new one to every sink
    Reset(Reset),
    /// Write the current token to every sink, without a reset
    Sync(Sync),
    /// Show which sinks hold the current token
    Status(Selection),
    /// List earlier runs and their outcomes
    History,
    /// Run fake Upstash, GitHub and AWS servers until Ctrl-C
    Sandbox,
    /// Run a complete reset against the fake servers
    Demo,
    /// List the sink kinds, or the options of one kind
    Sinks {
        /// The kind to explain
        kind: Option<String>,
    },
}

/// Selects sinks by name.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Use only these sinks; separate names by commas, or repeat the flag
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leave out these sinks; separate names by commas, or repeat the flag
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Reset {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Reset without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Do not reset if the forecast outage is longer than this, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = crate::config::parse_duration_flag)]
    pub(crate) max_outage: Option<Duration>,
    /// First write the current token to every sink, to prove that each accepts writes
    #[arg(long)]
    pub(crate) rehearse: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Read the token from standard input, for accounts without access to the Developer API
    #[arg(long)]
    pub(crate) token_stdin: bool,
    /// Agree to write the token to destinations that are new on this machine
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// The commands that send no request to Upstash. They accept the flags for its credentials, because those
/// are global, and do not list them.
const WITHOUT_UPSTASH: [&str; 5] = ["init", "history", "sandbox", "demo", "sinks"];

/// Returns clap's description of the command line.
pub(crate) fn command_line() -> clap::Command {
    let flags = CredentialFlags::augment_args(clap::Command::default());
    let hidden: Vec<Arg> = flags.get_arguments().map(|flag| flag.clone().hide(true)).collect();
    WITHOUT_UPSTASH.iter().fold(Arguments::command(), |line, name| {
        line.mut_subcommand(name, |command| command.args(&hidden))
    })
}

impl Arguments {
    /// Parses the arguments of this process.
    pub(crate) fn parse_from_args(
        arguments: impl IntoIterator<Item: Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut line = command_line();
        let mut matches = line.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut line))
    }
}

impl Subcommand {
    /// Returns the command as reports name it.
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Init => Command::Init,
            Self::Check(_) => Command::Check,
            Self::Reset(_) => Command::Reset,
            Self::Sync(_) => Command::Sync,
            Self::Status(_) => Command::Status,
            Self::Sinks { .. } => Command::Sinks,
            Self::History => Command::History,
            Self::Sandbox => Command::Sandbox,
            Self::Demo => Command::Demo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help_of(command: &str) -> String {
        let mut line = command_line();
        line.build();
        line.find_subcommand_mut(command).unwrap().render_help().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn the_help_of_a_command_lists_its_own_flags_first_in_declaration_order() {
        let help = help_of("reset");
        let flags = help.lines().filter_map(|line| line.split("--").nth(1)?.split(' ').next());
        let flags: Vec<&str> = flags.collect();
        assert_eq!(flags[..6], ["only", "skip", "yes", "max-outage", "rehearse", "help"], "{help}");
        assert!(help.contains("--output <FORMAT>"), "{help}");
    }

    #[test]
    fn flags_that_a_command_ignores_are_accepted_and_not_shown() {
        for command in ["init", "check", "reset", "sync", "status", "history", "sinks"] {
            let ignored = WITHOUT_UPSTASH.contains(&command);
            assert_eq!(help_of(command).contains("--upstash"), !ignored, "{command}");
            for line in [
                format!("tokensink {command} --upstash-email me"),
                format!("tokensink --upstash-email me {command}"),
            ] {
                let arguments = Arguments::parse_from_args(line.split(' ')).unwrap();
                assert_eq!(arguments.global.credentials.upstash_email.as_deref(), Some("me"));
            }
        }
    }

    #[test]
    fn global_flags_are_accepted_before_and_after_the_subcommand() {
        for line in
            ["tokensink --config a check --output json", "tokensink check --config a --output json"]
        {
            let arguments = Arguments::parse_from_args(line.split(' ')).unwrap();
            assert_eq!(arguments.global.config, PathBuf::from("a"));
            assert_eq!(arguments.global.output, Output::Json);
        }
    }
}
