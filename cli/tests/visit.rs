//! `fetch` and `serve-manifest`, with a real publisher's server on the other side.
#![allow(missing_docs, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use predicates::prelude::*;
use support::{Agent, stdout};

/// A server that gives one answer to everybody, and hands over the requests.
fn server(answer: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, (sender, requests)) = (listener.local_addr().unwrap().port(), channel());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let _ = stream.write_all(answer.as_bytes());
            let _ = sender.send(head.join("\n"));
        }
    });
    (port, requests)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `serve-manifest --dev` on a free port, its address, and its agent.
fn serving() -> (Running, Agent) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let agent = Agent::new(&format!("localhost:{port}"));
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("imagxp"));
    command.args(["serve-manifest", "--dev", "--listen", &format!("127.0.0.1:{port}")]);
    command.env("IMAGXP_PRIVATE_KEY", &agent.private_key).env("IMAGXP_AGENT_ID", &agent.name);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("serving") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended");
    }
    thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (Running(child), agent)
}

#[test]
fn from_the_agents_key_to_the_publishers_verdict() {
    let (_server, agent) = serving();
    let (port, requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nThe page.");
    let url = format!("http://localhost:{port}/a?b=c");
    let mut fetch = agent.imagxp();
    fetch.args(["fetch", &url, "--purpose", "quotation", "--dev"]);
    fetch.assert().success().stdout("The page.").stderr(
        predicate::str::contains("| CRYPTO | Signed http://localhost:")
            .and(predicate::str::contains("| ACCESS | Answer: 200, GRANTED"))
            .and(predicate::str::contains("development mode is ON")),
    );
    // What arrived is what a publisher verifies, manifest and all.
    let request = requests.recv().unwrap();
    assert!(request.starts_with("GET /a?b=c HTTP/1.1\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("\nuser-agent: imagxp-cli/"), "{request}");
    assert!(request.contains(" IMAGXP/1.1"), "{request}");
    agent.write("request.txt", &request);
    let mut verify = agent.imagxp();
    verify.args(["verify", "request.txt", "--dev", "--url", &url, "--json"]);
    let verdict: serde_json::Value = serde_json::from_str(&stdout(&mut verify)).unwrap();
    assert_eq!((&verdict["code"], &verdict["bound"]), (&"OK".into(), &"exact".into()), "{verdict}");
    assert_eq!(verdict["needs"][0]["answer"], "found");
    assert_eq!(verdict["purpose"], "QUOTATION");
}

#[test]
fn refusals_and_redirects() {
    let agent = Agent::new("localhost:9");
    for (answer, expected, page) in [
        (
            "HTTP/1.1 403 No\r\ncontent-length: 27\r\n\r\n{\"error\":\"REPLAY_DETECTED\"}",
            "REPLAY_DETECTED",
            "REPLAY_DETECTED",
        ),
        (
            "HTTP/1.1 403 No\r\ncontent-length: 31\r\n\r\n{\"error\":\"IDENTITY_UNVERIFIED\"}",
            "imagxp manifest",
            "IDENTITY",
        ),
        ("HTTP/1.1 302 Away\r\nlocation: https://elsewhere/\r\ncontent-length: 0\r\n\r\n", "https://elsewhere/", ""),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nOops", "500", "Oops"),
        ("nonsense\r\n\r\n", "no HTTP answer", ""),
    ] {
        let (port, _requests) = server(answer);
        let mut fetch = agent.imagxp();
        fetch.args(["fetch", &format!("http://localhost:{port}/"), "--purpose", "SUMMARY", "--dev"]);
        fetch.assert().code(1).stdout(predicate::str::contains(page)).stderr(predicate::str::contains(expected));
    }
}

#[test]
fn output_to_a_file_with_the_head() {
    let agent = Agent::new("localhost:9");
    let (port, _requests) = server("HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\nhi");
    let mut fetch = agent.imagxp();
    fetch.args(["fetch", &format!("http://localhost:{port}/"), "--purpose", "SUMMARY", "--dev"]);
    fetch.args(["--include", "--quiet", "--output", "page.txt"]);
    fetch.assert().success().stdout("");
    let page = std::fs::read_to_string(agent.folder.path().join("page.txt")).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\nx-a: b\n") && page.ends_with("\n\nhi"), "{page}");
}

#[test]
fn the_manifest_and_nothing_else_is_served() {
    let (_server, agent) = serving();
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(agent.name.replace("localhost", "127.0.0.1")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let found = get("/.well-known/imagxp-agent.json");
    assert!(found.starts_with("HTTP/1.1 200 OK\r\n"), "{found}");
    assert!(found.contains("content-type: application/json\r\n") && found.contains("max-age=300"), "{found}");
    assert!(found.contains(&agent.public_key), "{found}");
    assert!(get("/").starts_with("HTTP/1.1 404 "));

    agent.write("wrong.json", r#"{"agent_id":"a.example.com"}"#);
    let mut serve = agent.imagxp();
    serve.args(["serve-manifest", "--manifest", "wrong.json", "--listen", "127.0.0.1:0"]);
    serve.assert().code(2).stderr(predicate::str::contains("MANIFEST_INVALID"));
}
