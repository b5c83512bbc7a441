//! `sync --token-stdin`: what is proven about a pasted token.

use serde_json::Value;

use crate::support::world::{DOTENV, World, words};

/// Runs `sync --token-stdin --yes` with `token`, and with the account's credentials if `credentials`.
async fn paste(world: &World, token: &str, credentials: bool) -> (i32, Value) {
    let mut command = world.command(&["sync", "--token-stdin", "--yes", "--output", "json"]);
    if !credentials {
        command.env_remove("UPSTASH_EMAIL").env_remove("UPSTASH_API_KEY");
    }
    let output = world.finish(command, token).await;
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_read_only_token_of_the_account_is_refused_before_any_write() {
    let world = World::new().await;
    world.config(DOTENV);
    let token = world.sandbox.upstash.read_only_token(&world.qstash).unwrap();
    let before = world.read(".env");
    let (code, report) = paste(&world, &token, true).await;
    assert_eq!(code, 1, "{report}");
    let problem = "the pasted token is the read-only token of the QStash in eu-central-1";
    assert!(words(&report).contains(problem), "{report}");
    assert_eq!(report["outcome"], "unchanged", "{report}");
    assert_eq!(world.read(".env"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_account_shows_as_full_needs_no_warning() {
    let world = World::new().await;
    world.config(DOTENV);
    world.file(".env", "QSTASH_TOKEN=old\n");
    let (code, report) = paste(&world, &world.live(), true).await;
    assert_eq!(code, 0, "{report}");
    assert!(!report["warnings"].to_string().contains("only reading is proven"), "{report}");
    assert_eq!(world.read(".env"), format!("QSTASH_TOKEN={}\n", world.live()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_for_its_account_only_read_access_of_a_token_is_proven() {
    let world = World::new().await;
    world.config(DOTENV);
    let (code, report) = paste(&world, &world.live(), false).await;
    let warnings = report["warnings"].to_string();
    assert!(code == 0 && warnings.contains("only reading is proven"), "{report}");
    assert!(warnings.contains("compare it with the console"), "{report}");

    // Credentials of another account, and an account that does not answer, prove nothing either.
    let other = World::new().await;
    let mut command = world.command(&["sync", "--token-stdin", "--yes", "--output", "json"]);
    command.env("TOKENSINK_UPSTASH__API_URL", other.sandbox.upstash.url());
    command.env("UPSTASH_API_KEY", other.sandbox.upstash.api_key());
    command.env("UPSTASH_EMAIL", other.sandbox.upstash.email());
    let output = world.finish(command, world.live()).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && printed.contains("has no such token"), "{printed}");
    let mut command = world.command(&["sync", "--token-stdin", "--yes", "--output", "json"]);
    command.env("UPSTASH_API_KEY", "wrong");
    let output = world.finish(command, world.live()).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && printed.contains("was not compared"), "{printed}");
}
