//! Every network fault, at every provider, in every phase: the exit code, the reported state of each
//! sink, and the `sync` that repairs it.

use futures::StreamExt as _;
use futures::stream;
use serde_json::Value;

use crate::support::fault_proxy::{Fault, Proxy, Spoiled};
use crate::support::world::World;

/// A fault, and where it occurs.
#[derive(Clone, Copy, Debug)]
struct Cell {
    provider: Provider,
    phase: Phase,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Upstash,
    /// QStash itself, which is asked whether it accepts a token.
    QStash,
    GitHub,
    Aws,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Prepare,
    /// The reset itself, or the write of a sink.
    Change,
    /// The inspection afterwards.
    Verify,
}

impl Cell {
    /// Returns a text that the heads of the spoiled requests contain.
    fn pattern(self) -> &'static str {
        match (self.provider, self.phase) {
            (Provider::Upstash, Phase::Prepare) => "GET /v2/qstash/users",
            (Provider::Upstash, Phase::Change) => "POST ",
            (Provider::Upstash, Phase::Verify) => "GET /v2/qstash/user/",
            (Provider::QStash, _) => "GET /v2/globalParallelism",
            (Provider::GitHub, Phase::Prepare) => "/public-key",
            (Provider::GitHub, Phase::Change) => "PUT ",
            (Provider::GitHub, Phase::Verify) => "GET /repos/acme/api/actions/secrets/QSTASH_TOKEN",
            (Provider::Aws, Phase::Prepare) => "secretsmanager.DescribeSecret",
            (Provider::Aws, Phase::Change) => "secretsmanager.PutSecretValue",
            (Provider::Aws, Phase::Verify) => "secretsmanager.GetSecretValue",
        }
    }

    /// Returns whether requests are spoiled already: those of later phases only after the reset.
    fn is_due(self, world: &World) -> Box<dyn Fn() -> bool + Send + Sync> {
        match (self.provider, self.phase) {
            (_, Phase::Prepare) | (Provider::Upstash, Phase::Change) => Box::new(|| true),
            _ => Box::new(world.sandbox.upstash.was_reset()),
        }
    }

    fn expected_code(self) -> i32 {
        match (self.provider, self.phase) {
            _ if self.fault.is_harmless() => 0,
            (_, Phase::Prepare) => 1,
            // The program cannot know whether the reset was received.
            (Provider::Upstash, Phase::Change) if self.fault == Fault::Refused => 4,
            (Provider::Upstash, Phase::Change) if self.fault == Fault::RequestLost => 4,
            (Provider::Aws, Phase::Change) if self.fault.loses_the_request() => 3,
            // Only the response is lost: reading the account finds the new token.
            (Provider::Upstash | Provider::Aws, Phase::Change) => 0,
            // The response to the reset was proof.
            (Provider::Upstash | Provider::QStash, _) => 0,
            // There is no evidence, whether or not the value was written.
            (Provider::GitHub, _) | (Provider::Aws, Phase::Verify) => 3,
        }
    }
}

fn cells() -> impl Iterator<Item = Cell> {
    let providers = [Provider::Upstash, Provider::QStash, Provider::GitHub, Provider::Aws];
    let cells = providers.into_iter().flat_map(|provider| {
        [Phase::Prepare, Phase::Change, Phase::Verify].into_iter().flat_map(move |phase| {
            Fault::ALL.into_iter().map(move |fault| Cell { provider, phase, fault })
        })
    });
    // Nothing is changed at QStash.
    cells.filter(|cell| cell.provider != Provider::QStash || cell.phase != Phase::Change)
}

async fn world_behind(cell: Cell) -> (World, Proxy) {
    let world = World::new().await;
    let sandbox = &world.sandbox;
    let upstream = match cell.provider {
        Provider::Upstash => sandbox.upstash.url(),
        Provider::QStash => sandbox.upstash.qstash_url(),
        Provider::GitHub => sandbox.github.url(),
        Provider::Aws => sandbox.aws.url(),
    };
    let (pattern, is_due, fault) = (cell.pattern(), cell.is_due(&world), cell.fault);
    let spoiled = Spoiled { pattern, is_due, fault };
    let proxy = Proxy::before(&upstream, spoiled).await;
    let behind = match cell.provider {
        Provider::Upstash => format!("{}/v2", proxy.url()),
        Provider::QStash | Provider::GitHub | Provider::Aws => proxy.url().to_owned(),
    };
    let quoted = |url: &str| format!("\"{url}\"");
    let config = world.read("tokensink.toml").replace(&quoted(&upstream), &quoted(&behind));
    let config = config.replace("settle = \"2s\"", "settle = \"1s\"\ntimeout = \"1s\"");
    let config =
        config.replace("kind = \"github-actions\"", "kind = \"github-actions\"\ntimeout = \"4s\"");
    let config = config.replace(
        "kind = \"aws-secrets-manager\"",
        "kind = \"aws-secrets-manager\"\ntimeout = \"4s\"",
    );
    world.file("tokensink.toml", &config);
    (world, proxy)
}

/// Asserts that every sink that is reported as current holds the live token.
fn assert_true(world: &World, cell: Cell, report: &Value) {
    let live = world.live();
    for sink in report["sinks"].as_array().unwrap() {
        if sink["state"] != "current" {
            continue;
        }
        let held = match sink["name"].as_str().unwrap() {
            "local" => world.read(".env"),
            "own" => world.read("token"),
            "ci" => world.sandbox.github.secret(crate::support::world::REPOSITORY_SECRET).unwrap(),
            _ => world.sandbox.aws.value("prod").unwrap(),
        };
        assert!(held.contains(&live), "{cell:?}: {sink}");
    }
}

async fn holds(cell: Cell) {
    let (world, proxy) = world_behind(cell).await;
    let before = world.live();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, cell.expected_code(), "{cell:?}: {report}");
    assert_true(&world, cell, &report);
    assert!(world.posts() <= 1, "{cell:?}");
    if code == 1 {
        assert_eq!(world.posts(), 0, "{cell:?}");
        world.assert_everywhere(&before);
    }
    for sink in report["sinks"].as_array().unwrap() {
        // The fault of one provider does not affect another.
        let is_behind = matches!(
            (cell.provider, sink["name"].as_str().unwrap()),
            (Provider::GitHub, "ci")
                | (Provider::Aws, "prod")
                | (Provider::Upstash | Provider::QStash, _)
        );
        if code == 3 && !is_behind {
            assert_eq!(sink["state"], "current", "{cell:?}: {sink}");
        }
        if code == 3 && is_behind {
            assert_eq!(sink["state"], "unknown", "{cell:?}: {sink}");
        }
    }
    proxy.heal().await;
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{cell:?}: {report}");
    world.assert_everywhere(&world.live());
    assert!(world.posts() <= 1, "{cell:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_every_provider_in_every_phase() {
    assert_eq!(cells().count(), 88);
    stream::iter(cells()).for_each_concurrent(6, holds).await;
}
