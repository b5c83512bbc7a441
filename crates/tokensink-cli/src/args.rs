//! The command line: names and help, no behaviour.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tokensink_engine::Command as Asked;
use tokensink_http::AllowedHost;

/// The config file, unless `--config` names another one.
pub(crate) const DEFAULT_CONFIG: &str = "tokensink.toml";

/// Reset the QStash token once, and put the new one everywhere at once.
///
/// Resetting kills the old token immediately. tokensink first makes sure that it can write to every
/// place your applications read the token from, then resets, writes the new token to all of them
/// concurrently, and proves what each of them holds.
#[derive(Debug, Parser)]
#[command(name = "tokensink", version, max_term_width = 100, subcommand_required = true)]
#[command(
    after_help = "Exit codes: 0 complete, 1 nothing was changed, 2 usage or config, 3 partial: run \
`tokensink sync`, 4 unknown, 5 drift."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The config file
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(crate) config: PathBuf,
    /// What to print on standard output
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Where the journal is kept, instead of `TOKENSINK_STATE_DIR` [default: tokensink in the user's
    /// state folder]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Trust this host, which the config file names; repeat the flag for more
    #[arg(long = "allow-host", global = true, value_name = "HOST[:PORT]")]
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
}

/// Instead of `UPSTASH_EMAIL` and `UPSTASH_API_KEY`, or what `upstash login` saved.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Upstash credentials")]
pub(crate) struct Credentials {
    /// The account's email address
    #[arg(long, global = true, value_name = "EMAIL")]
    pub(crate) upstash_email: Option<String>,
    /// A file that holds the Developer API key
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "upstash_api_key_env")]
    pub(crate) upstash_api_key_file: Option<PathBuf>,
    /// An environment variable that holds the Developer API key
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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented tokensink.toml to start from
    Init,
    /// See whether a reset could finish; changes nothing
    Check(Selection),
    /// Reset the token and write the new one everywhere
    Reset(Reset),
    /// Write the current token everywhere, without a reset
    Sync(Sync),
    /// See which sinks hold the current token
    Status(Selection),
    /// List the runs so far, and how each ended
    History,
    /// Run stand-ins for Upstash, GitHub and AWS until Ctrl-C
    Sandbox,
    /// Do the whole job once against the stand-ins
    Demo,
    /// List the sink kinds, or the options of one
    Sinks {
        /// A sink kind
        kind: Option<String>,
    },
}

/// Which sinks take part.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Only the sinks of these names: separate them by commas, or repeat the flag
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Not the sinks of these names: separate them by commas, or repeat the flag
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Reset {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Refuse to start when the sinks would be stale for longer, such as 30s
    #[arg(long, value_name = "TIME", value_parser = crate::config::parse_duration_flag)]
    pub(crate) max_outage: Option<Duration>,
    /// First write the current token to every sink, to prove that writes are let in
    #[arg(long)]
    pub(crate) rehearse: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Take the token from standard input: for accounts without a Developer API
    #[arg(long)]
    pub(crate) token_stdin: bool,
    /// Agree to destinations that were not agreed to on this machine before
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// The commands that never ask Upstash. They take its flags, and do not speak of them.
const WITHOUT_UPSTASH: [&str; 5] = ["init", "history", "sandbox", "demo", "sinks"];

/// What may stand on the command line.
pub(crate) fn command_line() -> clap::Command {
    let flags = Credentials::augment_args(clap::Command::default());
    let hidden: Vec<Arg> = flags.get_arguments().map(|flag| flag.clone().hide(true)).collect();
    WITHOUT_UPSTASH.iter().fold(Arguments::command(), |line, name| {
        line.mut_subcommand(name, |command| command.args(&hidden))
    })
}

impl Arguments {
    /// What stands on the command line.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item: Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut line = command_line();
        let mut matches = line.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut line))
    }
}

impl Command {
    /// What the report calls it.
    pub(crate) fn asked(&self) -> Asked {
        match self {
            Self::Init => Asked::Init,
            Self::Check(_) => Asked::Check,
            Self::Reset(_) => Asked::Reset,
            Self::Sync(_) => Asked::Sync,
            Self::Status(_) => Asked::Status,
            Self::Sinks { .. } => Asked::Sinks,
            Self::History => Asked::History,
            Self::Sandbox => Asked::Sandbox,
            Self::Demo => Asked::Demo,
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

    /// What one command alone has comes first, in the order of its declaration.
    #[test]
    fn the_help_of_a_command_begins_with_its_own_flags() {
        let help = help_of("reset");
        let flags = help.lines().filter_map(|line| line.split("--").nth(1)?.split(' ').next());
        let flags: Vec<&str> = flags.collect();
        assert_eq!(flags[..6], ["only", "skip", "yes", "max-outage", "rehearse", "help"], "{help}");
        assert!(help.contains("--output <FORMAT>"), "{help}");
    }

    #[test]
    fn flags_that_a_command_ignores_are_taken_and_not_shown() {
        for command in ["init", "check", "reset", "sync", "status", "history", "sinks"] {
            let ignored = WITHOUT_UPSTASH.contains(&command);
            assert_eq!(help_of(command).contains("--upstash"), !ignored, "{command}");
            for line in [
                format!("tokensink {command} --upstash-email me"),
                format!("tokensink --upstash-email me {command}"),
            ] {
                let arguments = Arguments::read(line.split(' ')).unwrap();
                assert_eq!(arguments.global.credentials.upstash_email.as_deref(), Some("me"));
            }
        }
    }

    #[test]
    fn global_flags_go_after_the_subcommand_too() {
        for line in
            ["tokensink --config a check --output json", "tokensink check --config a --output json"]
        {
            let arguments = Arguments::read(line.split(' ')).unwrap();
            assert_eq!(arguments.global.config, PathBuf::from("a"));
            assert_eq!(arguments.global.output, Output::Json);
        }
    }
}
