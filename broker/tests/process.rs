//! The program: the introduction's walk, what it refuses to start with, key rotation, signals.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use imagxp::UnixMillis;
use imagxp_host::system;
use serde_json::{Value, json};
use support::process::{Process, command, free_port, key_file};
use support::{claims, get_json, post, send};

fn address(port: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[tokio::test]
async fn the_introductions_walk() {
    let port = free_port();
    let broker = Process::start(command(&["--dev", "--listen", &format!("127.0.0.1:{port}")]));
    assert!(broker.said.iter().any(|line| line.starts_with("Keys generated")), "{:?}", broker.said);
    assert_eq!(broker.said.last().unwrap(), &format!("Broker running on http://localhost:{port}"));
    // curl -X POST http://localhost:3000/issue-visa
    let (status, sold) = post(address(port), "/issue-visa", &[], "").await;
    assert_eq!((status, &sold["header_name"]), (StatusCode::OK, &json!("x-imagxp-credential")));
    let said = claims(sold["token"].as_str().unwrap());
    assert_eq!(
        (&said["aud"], &said["payment_status"], &said["amount"]),
        (&json!("nytimes.com"), &json!("paid"), &json!(0.001))
    );
    assert_eq!(said["iss"], format!("http://localhost:{port}"));
    // And once more, another one.
    assert_ne!(post(address(port), "/issue-visa", &[], "").await.1["token"], sold["token"]);
}

#[tokio::test]
async fn without_dev_a_bare_request_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (port, key) = (free_port(), key_file(folder.path(), "broker.key.pem", 0o600));
    let books = folder.path().join("books.sqlite");
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["--listen", &listen, "--public-url", "https://broker.example.com", "--key", &key];
    let mut command = command(&[&arguments[..], &["--database", books.to_str().unwrap()]].concat());
    command.env("IMAGXP_BROKER_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef");
    let broker = Process::start(command);
    assert_eq!(broker.said, ["Broker running on https://broker.example.com"]);
    let (status, body) = post(address(port), "/issue-visa", &[], "").await;
    assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("IDENTITY_REQUIRED")));
    assert!(body["message"].as_str().unwrap().contains("sign the request"), "{body}");
    // Not even of a localhost agent.
    let agent = support::Agent::new().await;
    let headers = agent.sign("https://broker.example.com/issue-visa");
    let (status, body) = post(address(port), "/issue-visa", &headers, "").await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("AGENT_ID_INVALID")));
}

/// What it said on standard error; it must not have started.
fn refusal(mut command: Command) -> String {
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it started");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(2));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

#[test]
fn what_it_does_not_start_with() {
    let folder = tempfile::tempdir().unwrap();
    let (good, open) = (key_file(folder.path(), "good.pem", 0o600), key_file(folder.path(), "open.pem", 0o644));
    let writable = key_file(folder.path(), "writable.pem", 0o620);
    let books = folder.path().join("books.sqlite").to_str().unwrap().to_owned();
    let url = ["--public-url", "https://broker.example.com", "--database", &books, "--listen", "127.0.0.1:0"];
    let with = |more: &[&str]| refusal(command(&[&url[..], more].concat()));
    assert!(with(&[]).contains("no key to sign with"));
    assert!(with(&["--key", &open]).contains("chmod 600"));
    assert!(with(&["--key", &writable]).contains("chmod 600"));
    assert!(with(&["--key", &books]).contains("books.sqlite"));
    assert!(refusal(command(&["--key", &good])).contains("own URL"));
    for url in ["http://broker.example.com", "https://broker.example.com/path", "broker.example.com"] {
        assert!(
            refusal(command(&["--key", &good, "--public-url", url])).contains("https://broker.example.com"),
            "{url}"
        );
    }
    let mut weak = command(&[&url[..], &["--key", &good]].concat());
    weak.env("IMAGXP_BROKER_ADMIN_TOKEN", "short");
    assert!(refusal(weak).contains("openssl rand"));
    let config = folder.path().join("broker.toml");
    for (text, told) in [
        ("listn = \"127.0.0.1:3000\"", "unknown field"),
        ("lifetime_s = 7200", "lifetime_s"),
        ("lifetime_s = 3600\ndispute_s = 60", "dispute_s"),
        ("amount_min = \"1\"\namount_max = \"0.5\"", "amount_min"),
        ("trusted_proxies = [\"everybody\"]", "trusted_proxies"),
        ("[webhook]\nurl = \"http://pay.example.com\"", "plain http"),
        ("[webhook]\nurl = \"https://pay.example.com\"", "no secret"),
    ] {
        std::fs::write(&config, text).unwrap();
        let said = with(&["--key", &good, "--config", config.to_str().unwrap()]);
        assert!(said.contains(told), "{text}: {said}");
    }
    // A line that is wrong is named, and not shown: it may hold a password.
    for line in
        ["database = \"postgres://u:secret@h/d", "listen = \"u:secret@h\"", "lifetime_s = \"secret\"", "x = secret"]
    {
        std::fs::write(&config, format!("currency = \"USD\"\n{line}\n")).unwrap();
        let said = with(&["--key", &good, "--config", config.to_str().unwrap()]);
        assert!(said.contains("line 2") && !said.contains("secret"), "{line}: {said}");
    }
    // Development is for this machine alone, and not on a real broker's books.
    let development = |more: &[&str]| refusal(command(&[&["--dev"], more].concat()));
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        assert!(development(&["--listen", listen]).contains("others reach it"), "{listen}");
    }
    for url in ["https://broker.example.com", "http://192.0.2.1:3000"] {
        assert!(development(&["--listen", "127.0.0.1:0", "--public-url", url]).contains("public_url"), "{url}");
    }
    let _ran = Process::start(command(&[&url[..], &["--key", &good]].concat()));
    assert!(development(&["--listen", "127.0.0.1:0", "--database", &books]).contains("a real broker's"));
    // A database that is not there is said so, without its password.
    let away = ["--database", "postgres://user:secret@127.0.0.1:1/x", "--key", &good, "--listen", "127.0.0.1:0"];
    let said = refusal(command(&[&away[..], &["--public-url", "https://broker.example.com"]].concat()));
    assert!(said.contains("PostgreSQL") && !said.contains("secret"), "{said}");
}

/// A secret counts as whoever can replace it wishes: its owner, and the folder that it is really in.
#[cfg(unix)]
#[test]
fn whose_key_it_is() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("keys"), folder.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    key_file(&real, "good.pem", 0o600);
    let through = link.join("good.pem").to_str().unwrap().to_owned();
    let books = folder.path().join("books.sqlite").to_str().unwrap().to_owned();
    let with = |key: &str| {
        let url = ["--public-url", "https://broker.example.com", "--database", &books, "--listen", "127.0.0.1:0"];
        command(&[&url[..], &["--key", key]].concat())
    };
    let open = |folder: &std::path::Path, mode| {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // The link's own folder may be anybody's; the folder behind it may not.
    open(folder.path(), 0o777);
    open(&real, 0o755);
    drop(Process::start(with(&through)));
    open(&real, 0o777);
    let said = refusal(with(&through));
    assert!(said.contains(&format!("fix: chmod go-w {}", real.canonicalize().unwrap().display())), "{said}");
    open(&real, 0o1777);
    drop(Process::start(with(&through)));
    open(&real, 0o700);

    // What follows takes root, who can give files away.
    let stranger = 12_345;
    if chown(real.join("good.pem"), Some(stranger), None).is_err() {
        eprintln!("SKIPPED: a secret of another user (only root can make one)");
        return;
    }
    let said = refusal(with(&through));
    assert!(said.contains("user 12345's") && said.contains("fix: chown 0 "), "{said}");
    // Nor is the folder another's.
    chown(real.join("good.pem"), Some(0), None).unwrap();
    chown(&real, Some(stranger), None).unwrap();
    assert!(refusal(with(&through)).contains("folder of secrets is user 12345's"));
}

fn kids(set: &Value) -> Vec<String> {
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid_of(sold: &Value) -> String {
    let token = imagxp::jose::jws::Token::parse(sold["token"].as_str().unwrap().as_bytes()).unwrap();
    let mut memory = [0; imagxp::spec::jwt::KID_MAX];
    token.header(&imagxp::spec::jwt::TYPES, &mut memory).unwrap().kid.unwrap().to_owned()
}

/// The next key is published before it signs; the old one stays published after.
#[tokio::test]
async fn a_rotation_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    key_file(folder.path(), "one.pem", 0o600);
    key_file(folder.path(), "two.pem", 0o640);
    let (port, config) = (free_port(), folder.path().join("broker.toml"));
    let write = |keys: &str| {
        std::fs::write(
            &config,
            format!(
                "jwks_max_age_s = 1\nlisten = \"127.0.0.1:{port}\"\ndatabase = \"{}/b.sqlite\"\n{keys}",
                folder.path().display()
            ),
        )
    };
    let one = "[[keys]]\nkid = \"one\"\nfile = \"one.pem\"\n";
    write(one).unwrap();
    let broker = Process::start(command(&["--dev", "--config", config.to_str().unwrap()]));
    let jwks = async || kids(&get_json(address(port), "/.well-known/jwks.json", &[]).await.1);
    let buy = async || kid_of(&post(address(port), "/issue-visa", &[], "").await.1);
    assert_eq!((jwks().await, buy().await), (vec!["one".to_owned()], "one".to_owned()));

    let from = system::now().saturating_add(2_500);
    let mut text = [0; UnixMillis::TEXT_LEN];
    let from = from.write(&mut text).unwrap();
    write(&format!("{one}[[keys]]\nkid = \"two\"\nfile = \"two.pem\"\nsign_from = \"{from}\"\n")).unwrap();
    broker.signal("-HUP");
    let both = ["one", "two"].map(str::to_owned);
    until(async || jwks().await == both).await;
    assert_eq!(buy().await, "one", "published before it signs");
    until(async || buy().await == "two").await;
    assert_eq!(jwks().await, both, "the old one stays");

    // One that is no longer configured stays while its visas are good.
    let two = "[[keys]]\nkid = \"two\"\nfile = \"two.pem\"\n";
    write(two).unwrap();
    broker.signal("-HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((jwks().await, buy().await), (both.to_vec(), "two".to_owned()));

    // A kid names one key for good.
    write("[[keys]]\nkid = \"one\"\nfile = \"two.pem\"\n").unwrap();
    broker.signal("-HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((jwks().await, buy().await), (both.to_vec(), "two".to_owned()));

    // What cannot be read changes nothing.
    write("[[keys]]\nfile = \"none.pem\"\n").unwrap();
    broker.signal("-HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((jwks().await, buy().await), (both.to_vec(), "two".to_owned()));
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    panic!("it did not come");
}

#[tokio::test]
async fn an_end_by_signal() {
    let port = free_port();
    let mut broker = Process::start(command(&["--dev", "--listen", &format!("127.0.0.1:{port}"), "--log", "json"]));
    let (status, headers, _) = send(address(port), Method::GET, "/healthz", &[], "".into()).await.unwrap();
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "application/json"));
    broker.signal("-TERM");
    assert_eq!(broker.child.wait().unwrap().code(), Some(0));
}
