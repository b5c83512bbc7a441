//! Kinds that others wrote.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn third_party_kinds_are_listed_beside_the_built_in_ones() {
    let world = World::new().await;
    let (code, listed) = world.run(&["sinks"]).await;
    let kinds: Vec<&str> = listed["sinks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!((code, kinds), (0, vec!["aws-secrets-manager", "dotenv", "file", "github-actions"]));
    let (code, report) = world.run(&["reset", "--no-such-flag"]).await;
    assert_eq!((code, report["outcome"].as_str()), (2, Some("invalid")));
}
