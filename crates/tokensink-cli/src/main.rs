use std::process::ExitCode;

fn main() -> ExitCode {
    tokensink_cli::main()
}
