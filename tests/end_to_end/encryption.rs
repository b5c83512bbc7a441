//! TLS: a company's own certificate authority, and its proxy.

use std::sync::{Arc, Mutex};

use tokensink_sandbox::{Aws, Encryption, Network};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::support::world::{World, words};

async fn encrypted_world() -> World {
    let encryption = Encryption::generate().unwrap();
    let world = World::at(&Network::default().with_encryption(&encryption)).await;
    world.file("authority.pem", encryption.authority_pem());
    world
}

fn trusting(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(&[arguments, &["--output", "json"]].concat());
    command.env("SSL_CERT_FILE", world.directory.path().join("authority.pem"));
    command
}

async fn code_of(world: &World, command: Command) -> i32 {
    let output = world.finish(command, "").await;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.code().unwrap_or_else(|| panic!("{shown}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_authority_is_read_from_a_file() {
    let world = encrypted_world().await;
    assert_eq!(code_of(&world, trusting(&world, &["reset", "--yes"])).await, 0);
    world.assert_everywhere(&world.live());
    assert_eq!(code_of(&world, trusting(&world, &["status"])).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let world = encrypted_world().await;
    let before = world.live();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 1 && words(&report).contains("certificate"), "{report}");
    assert_eq!(world.posts(), 0);
    world.assert_everywhere(&before);
    // No request was sent.
    assert!(world.sandbox.upstash.requests().is_empty());
    assert!(world.sandbox.github.requests().is_empty());
    assert!(world.sandbox.aws.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_ca_bundle_names_the_authority_for_aws() {
    let encryption = Encryption::generate().unwrap();
    let network = Network::default().with_encryption(&encryption);
    let aws = Aws::start_at(&network).await.unwrap();
    let world = World::new().await;
    world.file("authority.pem", encryption.authority_pem());
    aws.put_externally("prod", &world.live());
    world.config(&format!(
        "[sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\nregion = \"eu-central-1\"\n\
         endpoint_url = \"{}\"\ntimeout = \"5s\"\n",
        aws.url()
    ));
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 1 && words(&report).contains("certificate"), "{report}");
    let mut command = world.command(&["check"]);
    command.env("AWS_CA_BUNDLE", "authority.pem");
    assert_eq!(code_of(&world, command).await, 0);
}

/// A name of the fake servers that only the proxy resolves, like a host on another machine.
const ELSEWHERE: &str = "fake.test";

/// Starts a proxy that only tunnels, and records the destinations.
async fn tunnel() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked_for = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked_for);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_through(client, Arc::clone(&seen)));
        }
    });
    (url, asked_for)
}

async fn pass_through(mut client: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let place = head.split(' ').nth(1).unwrap();
    seen.lock().unwrap().push(place.to_owned());
    if !head.starts_with("CONNECT ") {
        return;
    }
    let mut server = TcpStream::connect(place.replace(ELSEWHERE, "127.0.0.1")).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // Either side may close the connection.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// Returns the same URL with the name that only the proxy resolves.
fn elsewhere(url: &str) -> String {
    url.replace("127.0.0.1", ELSEWHERE)
}

fn place(url: &str) -> String {
    url.trim_start_matches("https://").split('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_is_reached_through_the_proxy() {
    let world = encrypted_world().await;
    let sandbox = &world.sandbox;
    let [api, qstash, github, aws] = [
        sandbox.upstash.url(),
        sandbox.upstash.qstash_url(),
        sandbox.github.url(),
        sandbox.aws.url(),
    ]
    .map(|url| elsewhere(&url));
    world.file("tokensink.toml", &elsewhere(&world.read("tokensink.toml")));
    let (proxy, asked_for) = tunnel().await;
    let mut command = trusting(&world, &["reset", "--yes"]);
    command
        .env("HTTPS_PROXY", proxy)
        .env("TOKENSINK_UPSTASH__API_URL", &api)
        .env("TOKENSINK_UPSTASH__QSTASH_URL", &qstash)
        .env("GH_HOST", place(&github))
        .env("GH_ENTERPRISE_TOKEN", sandbox.github.token())
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &aws);
    assert_eq!(code_of(&world, command).await, 0);
    world.assert_everywhere(&world.live());
    let asked_for = asked_for.lock().unwrap();
    for url in [api, qstash, github, aws] {
        assert!(asked_for.contains(&place(&url)), "{url} in {asked_for:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_this_machine_are_reached_without_the_proxy() {
    let world = encrypted_world().await;
    let api = elsewhere(&world.sandbox.upstash.url());
    let (proxy, asked_for) = tunnel().await;
    let mut command = trusting(&world, &["reset", "--yes"]);
    command.env("HTTPS_PROXY", proxy).env("TOKENSINK_UPSTASH__API_URL", &api);
    assert_eq!(code_of(&world, command).await, 0);
    world.assert_everywhere(&world.live());
    let asked_for = asked_for.lock().unwrap();
    assert!(
        !asked_for.is_empty() && asked_for.iter().all(|seen| *seen == place(&api)),
        "{asked_for:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unencrypted_requests_over_loopback_do_not_go_to_a_proxy() {
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let world = World::new().await;
        let (proxy, asked_for) = tunnel().await;
        let mut command = world.command(&["reset", "--yes", "--output", "json"]);
        command.env(variable, proxy);
        assert_eq!(code_of(&world, command).await, 0, "{variable}");
        world.assert_everywhere(&world.live());
        assert_eq!(*asked_for.lock().unwrap(), [""; 0], "{variable}");
    }
}
