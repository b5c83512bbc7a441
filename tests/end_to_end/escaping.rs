//! Values from configs, servers, files and arguments reach the terminal only with their control and
//! bidirectional characters escaped; a JSON document has them exactly.

use serde_json::Value;

use crate::support::terminal::Terminal;
use crate::support::wait::exit_code;
use crate::support::world::World;

/// Sequences that change a terminal or the order of text: the clipboard, the title, hidden text, an erased
/// line, moves, C1 controls, overrides and isolates.
const PAYLOADS: [&str; 9] = [
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{1b}]0;evil\u{7}",
    "\u{1b}[8mhidden",
    "x\u{1b}[2K\rall is well",
    "\u{1b}[1A\u{1b}[J",
    "\u{9b}31mred",
    "\u{202e}gpj.exe",
    "\u{2066}isolated\u{2069}",
    "bell\u{7}\u{8}\u{7f}",
];

/// Returns `text` as a TOML string.
fn toml(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_ascii_graphic() || c == ' ' => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Encodes `byte` for the path of a URL.
fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// Fails where `printed` contains a control character besides line breaks, or a bidirectional one.
/// The program prints no styles if standard output is not a terminal.
fn assert_printable(printed: &[u8], about: &str) {
    let printed = str::from_utf8(printed).unwrap();
    let changes_the_screen = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
    };
    assert!(!printed.contains(changes_the_screen), "{about}: {printed:?}");
}

/// Returns configs with `text` in every option and name that an attacker could choose.
fn configs(world: &World, payload: &str) -> Vec<(&'static str, String)> {
    let (text, github) = (toml(payload), world.sandbox.github.url());
    let ci = format!(
        "[sinks.ci]\nkind = \"github-actions\"\napi_url = \"{github}\"\ntimeout = \"1s\"\n"
    );
    let repository = "repositories = [\"acme/api\"]";
    vec![
        ("path", format!("[sinks.local]\nkind = \"dotenv\"\npath = {text}\n")),
        (
            "path, create",
            format!("[sinks.local]\nkind = \"dotenv\"\npath = {text}\ncreate = true\n"),
        ),
        ("key", format!("[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\nkey = {text}\n")),
        ("kind", format!("[sinks.local]\nkind = {text}\n")),
        ("option", format!("[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n{text} = 1\n")),
        ("sink", format!("[sinks.{text}]\nkind = \"dotenv\"\npath = \".env\"\n")),
        ("table", format!("[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n[{text}]\n")),
        ("[upstash] option", format!("[upstash]\n{text} = 1\n")),
        (
            "region",
            format!("[upstash]\nregion = {text}\n[sinks.x]\nkind = \"file\"\npath = \"t\"\n"),
        ),
        (
            "api_url",
            format!("[upstash]\napi_url = {text}\n[sinks.x]\nkind = \"file\"\npath = \"t\"\n"),
        ),
        ("environment", format!("{ci}{repository}\nenvironment = {text}\n")),
        ("repository", format!("{ci}repositories = [{text}]\n")),
        ("organization", format!("{ci}organization = {text}\n")),
        ("secret", format!("{ci}{repository}\nsecret = {text}\n")),
        (
            "secret_id",
            format!(
                "[sinks.prod]\nkind = \"aws-secrets-manager\"\nregion = \"eu-central-1\"\n\
                 endpoint_url = \"{}\"\nsecret_id = {text}\n",
                world.sandbox.aws.url()
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_config_controls_the_terminal() {
    let world = World::new().await;
    for payload in PAYLOADS {
        for (option, config) in configs(&world, payload) {
            if config.starts_with("[upstash]") {
                world.file("tokensink.toml", &config);
            } else {
                world.config(&config);
            }
            for arguments in ["check", "reset"] {
                let mut command = world.command(&[arguments]);
                command.env_remove("RUST_LOG");
                let output = world.finish(command, "").await;
                let about = format!("{arguments} with {option} = {payload:?}");
                assert_printable(&output.stdout, &about);
                assert_printable(&output.stderr, &about);
                assert!(!output.stderr.is_empty() || !output.stdout.is_empty(), "{about}");
            }
        }
    }
}

/// Arguments and variables come from the user, but a script may have composed them.
#[tokio::test(flavor = "multi_thread")]
async fn no_argument_controls_the_terminal() {
    let world = World::new().await;
    for payload in PAYLOADS {
        for arguments in [
            &[payload][..],
            &["check", payload],
            &["check", "--only", payload],
            &["check", "--config", payload],
            &["check", "--state-dir", payload],
            &["check", "--allow-host", payload],
            &["check", "--upstash-email", payload, "--upstash-api-key-env", payload],
            &["check", "--output", payload],
            &["reset", "--max-outage", payload],
            &["sinks", payload],
            &["init", "--config", payload],
        ] {
            let mut command = world.command(arguments);
            command.env_remove("RUST_LOG");
            let output = world.finish(command, "").await;
            assert_printable(&output.stdout, &format!("{arguments:?}"));
            assert_printable(&output.stderr, &format!("{arguments:?}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_from_a_server_controls_the_terminal_and_json_has_it_exactly() {
    let world = World::new().await;
    let github = &world.sandbox.github;
    let payload = PAYLOADS.concat();
    github.add_environment("acme/api", &payload);
    let encoded: String = payload.bytes().map(encoded).collect();
    let closer = format!("repos/acme/api/environments/{encoded}/secrets/QSTASH_TOKEN");
    github.put_externally(&closer, &world.live());
    let mut command = world.command(&["check"]);
    command.env_remove("RUST_LOG");
    let output = world.finish(command, "").await;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("gpj.exe"), "the environment should be named: {printed}");
    assert_printable(&output.stdout, "check");
    assert_printable(&output.stderr, "check");
    let (_, report) = world.run(&["check"]).await;
    let warnings: Vec<&str> =
        report["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(warnings.iter().any(|warning| warning.contains(&payload)), "{report}");
}

/// The user must read the real plan before answering.
#[tokio::test(flavor = "multi_thread")]
async fn the_plan_before_the_question_cannot_be_rewritten() {
    let world = World::new().await;
    let aws = &world.sandbox.aws;
    let key = PAYLOADS.concat();
    aws.put_externally("evil", &serde_json::json!({ key.as_str(): world.live() }).to_string());
    world.config(&format!(
        "[sinks.prod]\nkind = \"aws-secrets-manager\"\nregion = \"eu-central-1\"\n\
         endpoint_url = \"{}\"\nsecret_id = \"evil\"\njson_key = {}\n",
        aws.url(),
        toml(&key)
    ));
    let terminal = Terminal::of_width(200);
    let mut command = world.command(&["reset"]);
    command.env_remove("RUST_LOG");
    let child = terminal.run(command);
    terminal.shows("[y/N]").await;
    terminal.type_in("n\n");
    assert_eq!(exit_code(child).await, 1);
    let shown = terminal.close();
    for payload in PAYLOADS {
        assert!(!shown.contains(payload), "{payload:?} in {shown:?}");
    }
    assert!(shown.contains("gpj.exe"), "{shown:?}");
}
