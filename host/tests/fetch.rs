//! The rules of threats.md section 8, each against a real TLS server.
#![allow(missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use imagxp::{Kind, Need};
use imagxp_host::fetch::{Limits, Reason};
use imagxp_host::{Fetched, Fetcher, Settings};
use support::{Act, NAME, PUBLIC, Script, World, answer, manifest};

const BODY: &[u8] = br#"{"agent_id":"bot.example.com"}"#;
const JSON: &str = "200 OK\r\ncontent-type: application/json";

fn reason(fetched: &Fetched) -> Reason {
    fetched.reason().cloned().expect("no document")
}

#[tokio::test]
async fn a_document_and_how_it_was_asked_for() {
    let head = format!("{JSON}; charset=utf-8\r\ncache-control: public, max-age=120\r\nset-cookie: a=b");
    let (fetched, world) = World::answering(&head, BODY).await.fetch().await;
    let Fetched::Found { body, max_age_s } = &*fetched else { panic!("{fetched:?}") };
    assert_eq!((&**body, *max_age_s), (BODY, Some(120)));

    assert_eq!(*world.connected_to.lock().unwrap(), [(PUBLIC, 443).into()], "the address that was judged, port 443");
    let request = world.requests.lock().unwrap().concat();
    let mut lines: Vec<_> = request.trim_end().lines().map(str::to_ascii_lowercase).collect();
    lines.sort();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines,
        [
            "accept-encoding: identity".to_owned(),
            "accept: application/json".to_owned(),
            "get /.well-known/imagxp-agent.json http/1.1".to_owned(),
            "host: bot.example.com".to_owned(),
            format!("user-agent: imagxp-verifier/{version}"),
        ]
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in ["301", "302", "303", "307", "308"] {
        let head = format!("{status} Away\r\nlocation: https://bot.example.com/elsewhere");
        let (fetched, world) = World::answering(&head, b"").await.fetch().await;
        assert!(matches!(&*fetched, Fetched::NotThere(Reason::Redirect(_))), "{fetched:?}");
        assert_eq!(world.connections(), 1);
    }
}

#[tokio::test]
async fn statuses() {
    for (status, there) in
        [("204", true), ("304", true), ("404", true), ("410", true), ("429", false), ("500", false), ("503", false)]
    {
        let (fetched, _) =
            World::answering(&format!("{status} X\r\ncontent-type: application/json"), b"").await.fetch().await;
        assert_eq!(matches!(&*fetched, Fetched::NotThere(_)), there, "{status}: {fetched:?}");
        assert_eq!(matches!(&*fetched, Fetched::Unreachable(_)), !there, "{status}: {fetched:?}");
    }
}

#[tokio::test]
async fn a_huge_body_is_read_to_the_limit_and_one() {
    let announced = answer(JSON, &vec![b' '; 1_000_000]);
    let endless = [b"HTTP/1.1 ", JSON.as_bytes(), b"\r\ntransfer-encoding: chunked\r\n\r\n"].concat();
    let chunk = [b"1000\r\n", &[b' '; 4_096][..], b"\r\n"].concat();
    for acts in [vec![Act::Say(announced)], vec![Act::Say(endless), Act::Forever(chunk)]] {
        let began = Instant::now();
        let (fetched, _) = World::new(&[NAME], Script::Http(acts)).await.fetch().await;
        assert!(matches!(&*fetched, Fetched::Found { body, .. } if body.len() == 8_193), "{fetched:?}");
        assert!(began.elapsed() < Duration::from_millis(1_400));
    }
}

#[tokio::test]
async fn media_types_and_codings() {
    for (head, found) in [
        ("200 OK", true),
        ("200 OK\r\ncontent-type: application/agent+json", true),
        ("200 OK\r\ncontent-type: text/html", false),
        ("200 OK\r\ncontent-type: text/plain; application/json", false),
        ("200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip", false),
        ("200 OK\r\ncontent-type: application/json\r\ncontent-encoding: identity", true),
    ] {
        let (fetched, _) = World::answering(head, BODY).await.fetch().await;
        assert_eq!(matches!(&*fetched, Fetched::Found { .. }), found, "{head}: {fetched:?}");
        assert_eq!(matches!(&*fetched, Fetched::NotThere(_)), !found, "{head}: {fetched:?}");
    }
}

#[tokio::test]
async fn broken_answers() {
    let long = format!("{JSON}\r\nx-long: {}", "x".repeat(20_000));
    let many: String = (0..200).map(|n| format!("\r\nx-{n}: 1")).collect();
    for (what, bytes) in [
        ("headers above 16 KiB", answer(&long, BODY)),
        ("200 headers", answer(&format!("{JSON}{many}"), BODY)),
        ("cut short", answer(JSON, BODY)[..80].to_vec()),
        ("not HTTP", b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"{}".to_vec()),
        ("nothing", Vec::new()),
    ] {
        let (fetched, _) = World::new(&[NAME], Script::Http(vec![Act::Say(bytes)])).await.fetch().await;
        assert!(matches!(&*fetched, Fetched::Unreachable(Reason::Http(_))), "{what}: {fetched:?}");
    }
}

/// SSRF-10: whoever waits for the answer cannot tell one failure from another. Only the least time is a promise.
#[tokio::test]
async fn no_failure_of_a_strangers_name_is_quick() {
    let world = World::answering("404 Gone", b"").await.name("private.example.com", &["10.0.0.1"]);
    let world = Arc::new(world);
    let failure = Duration::from_millis(300);
    let limits = Limits { failure, ..Limits::default() };
    let fetcher = Fetcher::new(Settings { limits, ..world.settings() });
    for (name, why) in [(NAME, "answers"), ("private.example.com", "address"), ("nowhere.example.com", "resolve")] {
        let began = Instant::now();
        let fetched = manifest(&fetcher, name).await.unwrap();
        assert!(fetched.reason().is_some() && began.elapsed() >= failure, "{why}: {fetched:?}");
    }
}

/// No step of a fetch can hold it for longer than 1.5 s.
#[tokio::test]
async fn slowness() {
    let http = |acts| Script::Http(acts);
    let drip =
        [vec![Act::Say(format!("HTTP/1.1 {JSON}\r\ncontent-length: 100\r\n\r\n").into_bytes())], drops()].concat();
    for (what, script, lookup_ms, connect_ms, limit_ms) in [
        ("look-up", http(vec![]), 5_000, 0, 500),
        ("connection", http(vec![]), 0, 5_000, 500),
        ("TLS handshake", Script::NoTls, 0, 0, 800),
        ("first byte", http(vec![Act::Wait(5_000)]), 0, 0, 1_000),
        ("whole fetch", http(drip), 0, 0, 1_500),
    ] {
        let mut world = World::new(&[NAME], script).await;
        (world.lookup_takes, world.connect_takes) =
            (Duration::from_millis(lookup_ms), Duration::from_millis(connect_ms));
        let began = Instant::now();
        let (fetched, _) = world.fetch().await;
        let took = began.elapsed().as_millis();
        let Reason::TimedOut(step, _) = reason(&fetched) else { panic!("{what}: {fetched:?}") };
        assert!(matches!(&*fetched, Fetched::Unreachable(_)) && step.contains(what), "{what}: {step}");
        assert!((limit_ms..limit_ms + 400).contains(&took), "{what} took {took} ms");
    }
}

/// A byte every tenth of a second.
fn drops() -> Vec<Act> {
    (0..50).flat_map(|_| [Act::Wait(100), Act::Say(b" ".to_vec())]).collect()
}

#[tokio::test]
async fn the_certificate_must_be_the_names() {
    let world = World::new(&["other.example.com"], Script::Http(vec![Act::Say(answer(JSON, BODY))])).await;
    let (fetched, world) = world.fetch().await;
    assert!(matches!(&*fetched, Fetched::Unreachable(Reason::Tls(_))), "{fetched:?}");
    assert!(world.requests.lock().unwrap().is_empty(), "nothing was asked of it");
}

#[tokio::test]
async fn strangers_certificates_are_not_trusted() {
    let (mine, theirs) = (World::answering(JSON, BODY).await, Arc::new(World::answering(JSON, BODY).await));
    let settings = Settings { tls: theirs.settings().tls, ..Arc::new(mine).settings() };
    let fetched = manifest(&Fetcher::new(settings), NAME).await.unwrap();
    assert!(matches!(&*fetched, Fetched::Unreachable(Reason::Tls(_))), "{fetched:?}");
}

#[tokio::test]
async fn one_address_that_is_not_public_condemns_the_name() {
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["fd00:ec2::254"],
        &["93.184.216.34", "192.168.0.1"],
        &["2606:4700:4700::1111", "fe80::1"],
        &["0.0.0.0"],
    ] {
        let (fetched, world) = World::answering(JSON, BODY).await.name(NAME, addresses).fetch().await;
        assert!(matches!(&*fetched, Fetched::Unreachable(Reason::Forbidden(_))), "{addresses:?}: {fetched:?}");
        assert_eq!(world.connections(), 0, "{addresses:?}");
        assert!(world.connected_to.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_name_is_resolved_once() {
    let (fetched, world) = World::answering(JSON, BODY).await.fetch().await;
    assert!(matches!(&*fetched, Fetched::Found { .. }));
    assert_eq!(world.lookups.load(Ordering::SeqCst), 1, "a second look-up could give another address");
}

#[tokio::test]
async fn names_without_addresses() {
    let world = Arc::new(World::answering(JSON, BODY).await.name("empty.example.com", &[]));
    let fetcher = Fetcher::new(world.settings());
    for name in ["gone.example.com", "empty.example.com"] {
        let fetched = manifest(&fetcher, name).await.unwrap();
        assert!(matches!(&*fetched, Fetched::Unreachable(Reason::NoAddress(_))), "{fetched:?}");
    }
}

#[tokio::test]
async fn denied_and_allowed_ranges() {
    let world = Arc::new(World::answering(JSON, BODY).await.name("broker.example.com", &["10.1.2.3"]));
    let settings = Settings {
        denied: vec!["93.184.216.0/24".parse().unwrap()],
        allowed: vec!["10.0.0.0/8".parse().unwrap()],
        ..world.settings()
    };
    let fetcher = Fetcher::new(settings);
    let denied = manifest(&fetcher, NAME).await.unwrap();
    assert!(matches!(&*denied, Fetched::Unreachable(Reason::Forbidden(_))), "{denied:?}");
    let url = "https://broker.example.com:8443/.well-known/jwks.json";
    for (configured, reached) in [(true, true), (false, false)] {
        let need = Need { kind: Kind::Jwks, url, host: "broker.example.com:8443", configured, max_len: 65_536 };
        let fetched = fetcher.fetch(&need, None).await.unwrap();
        // The certificate is another name's: what matters is how far it came.
        assert_eq!(matches!(reason(&fetched), Reason::Tls(_)), reached, "{fetched:?}");
    }
    assert_eq!(*world.connected_to.lock().unwrap(), [([10, 1, 2, 3], 8443).into()], "the port of the URL");
}

#[tokio::test]
async fn one_fetch_for_all_who_want_the_same() {
    let acts = vec![Act::Wait(200), Act::Say(answer(JSON, BODY))];
    let world = Arc::new(World::new(&[NAME], Script::Http(acts)).await);
    let fetcher = Fetcher::new(world.settings());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let fetcher = fetcher.clone();
        waiting.spawn(async move { manifest(&fetcher, NAME).await });
    }
    while let Some(fetched) = waiting.join_next().await {
        assert!(matches!(&*fetched.unwrap().unwrap(), Fetched::Found { .. }));
    }
    assert_eq!(world.connections(), 1);
    manifest(&fetcher, NAME).await.unwrap();
    assert_eq!(world.connections(), 1, "what has just come");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    manifest(&fetcher, NAME).await.unwrap();
    assert_eq!(world.connections(), 2, "the next one goes anew");
}

#[tokio::test]
async fn a_fetch_lands_though_nobody_waits() {
    let acts = vec![Act::Wait(200), Act::Say(answer(JSON, BODY))];
    let world = Arc::new(World::new(&[NAME], Script::Http(acts)).await);
    let fetcher = Fetcher::new(world.settings());
    let given_up = tokio::time::timeout(Duration::from_millis(50), manifest(&fetcher, NAME)).await;
    assert!(given_up.is_err());
    let fetched = manifest(&fetcher, NAME).await.unwrap();
    assert!(matches!(&*fetched, Fetched::Found { .. }), "{fetched:?}");
    assert_eq!(world.connections(), 1, "the second joined the first's flight");
}

#[tokio::test]
async fn budgets() {
    let world = Arc::new(World::answering(JSON, BODY).await);
    let fetcher = Fetcher::new(world.settings());
    let mut begun = 0;
    for n in 0..40 {
        begun += usize::from(manifest(&fetcher, &format!("bot{n}.example.com")).await.is_ok());
    }
    assert!((20..=22).contains(&begun), "{begun} names in less than a second");

    let world = Arc::new(World::new(&[NAME], Script::Http(vec![Act::Wait(400)])).await);
    for n in 0..10 {
        world.add(&format!("bot{n}.example.com"));
    }
    let limits = Limits { per_network: 3, ..Limits::default() };
    let fetcher = Fetcher::new(Settings { limits, ..world.settings() });
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..10 {
        let fetcher = fetcher.clone();
        waiting.spawn(async move { manifest(&fetcher, &format!("bot{n}.example.com")).await });
    }
    let mut crowded = 0;
    while let Some(fetched) = waiting.join_next().await {
        crowded += usize::from(matches!(reason(&fetched.unwrap().unwrap()), Reason::Crowded));
    }
    assert_eq!(crowded, 7, "three at a time to one network");
}

#[tokio::test]
async fn no_more_fetches_at_a_time_than_there_may_be() {
    let world = Arc::new(World::new(&[NAME], Script::Http(vec![Act::Wait(300)])).await);
    let limits = Limits { fetches: 1, ..Limits::default() };
    let fetcher = Fetcher::new(Settings { limits, ..world.settings() });
    let first = tokio::spawn({
        let fetcher = fetcher.clone();
        async move { manifest(&fetcher, NAME).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(manifest(&fetcher, "other.example.com").await.is_err(), "pending");
    assert!(first.await.unwrap().is_ok());
    assert!(manifest(&fetcher, "other.example.com").await.is_ok());
}

#[tokio::test]
async fn development_reaches_this_machine_only() {
    let world = Arc::new(World::answering(JSON, BODY).await);
    let fetcher = Fetcher::new(Settings { development: true, ..world.settings() });
    for (url, expected) in [("http://10.0.0.1/a", "plain http"), ("http://bot.example.com/a", "plain http")] {
        let need = Need { kind: Kind::Jwks, url, host: "x", configured: true, max_len: 100 };
        let fetched = fetcher.fetch(&need, None).await.unwrap();
        assert!(reason(&fetched).to_string().contains(expected), "{fetched:?}");
    }
    let need =
        Need { kind: Kind::Manifest, url: "http://localhost:1/a", host: "localhost:1", configured: false, max_len: 9 };
    fetcher.fetch(&need, None).await.unwrap();
    let reached = world.connected_to.lock().unwrap().clone();
    assert!(!reached.is_empty() && reached.iter().all(|address| address.ip().is_loopback()), "{reached:?}");
    assert_eq!(world.lookups.load(Ordering::SeqCst), 0, "localhost is no matter for DNS");
}
