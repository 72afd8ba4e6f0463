//! What stands on the stage, and one visit to a publisher as both sides see it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use imagxp::story::{Sent, Story};
use imagxp::{Claims, KeyPair, spec, write_manifest};
use imagxp_broker::{Broker, Config};
use imagxp_host::fetch::{Settings, address::Reach, target::Target};
use imagxp_host::publisher::lines;
use imagxp_host::system;
use tokio::net::TcpListener;

use super::money::Counter;
use super::publisher::{Site, Told};
use super::scenes::Scene;
use crate::client::Connection;
use crate::commands::keygen;
use crate::failure::Failure;
use crate::print::{BOLD, DIM, ERROR, GOOD, HINT};
use crate::{print, serve};

/// An agent and its manifest, somebody else's key, and how this machine is reached.
pub(super) struct Stage {
    pub(super) settings: Settings,
    pub(super) agent_id: String,
    pub(super) key: KeyPair,
    pub(super) foreign_key: KeyPair,
}

/// Everybody else.
pub(super) struct Cast {
    pub(super) counter: Counter,
    pub(super) news: Site,
    pub(super) junk: Site,
}

impl Stage {
    pub(super) async fn set() -> Result<(Self, Cast), Failure> {
        let settings = Settings::this_machine().map_err(|error| Failure::failed(error, ""))?;
        let (key, foreign_key) = (keygen::generate()?, keygen::generate()?);
        let (listener, agent_id) = listen().await?;
        let document = Bytes::from(manifest(&agent_id, &key)?);
        tokio::spawn(serve::serve(listener, move |request, _| {
            let answer = serve::manifest(&request, &document);
            async { answer }
        }));
        let broker = Broker::start(Config::development()).await;
        let counter = Counter { broker: broker.map_err(|problem| Failure::failed(problem.what, problem.fix))? };
        let site = async |page| Site::open(listen().await?, page, counter.url(), settings.clone());
        let news = site("The news.\n").await?;
        let junk = site("Buy now! Best crawlers cheap crawlers buy crawlers.\n").await?;
        Ok((Self { settings, agent_id, key, foreign_key }, Cast { counter, news, junk }))
    }

    pub(super) fn introduce(&self, cast: &Cast) -> Result<(), Failure> {
        print::line(&format!("{BOLD}An agent, two publishers, a broker{BOLD:#}, all on this machine, over real HTTP"))?;
        print::row("agent", &format!("{}, manifest at http://{0}{}", self.agent_id, spec::MANIFEST_PATH))?;
        print::row("its key", self.key.public().kid().as_str())?;
        print::row("another key", self.foreign_key.public().kid().as_str())?;
        print::row("publisher", &format!("http://{}", cast.news.authority))?;
        print::row("its policy", &cast.news.policy)?;
        print::row("junk publisher", &format!("http://{}", cast.junk.authority))?;
        print::row("broker", cast.counter.url())?;
        print::line("")
    }

    /// One visit: true if it was decided rightly.
    pub(super) async fn act(&self, site: &mut Site, scene: &Scene<'_>) -> Result<bool, Failure> {
        let target = Target::parse(&scene.url).map_err(|why| Failure::failed(why, ""))?;
        let patience = Duration::from_secs(5);
        let mut connection = Connection::open(&target, &self.settings, &Reach::Loopback, patience).await?;
        let sent = system::now();
        let response = connection.get(&target, &scene.headers).await?;
        let (status, at) = (response.status().as_u16(), system::now());
        let body = response.into_body().collect().await.map_err(crate::client::broken)?.to_bytes();
        let code = public_code(status, &body);
        let told = site.told().await.ok_or_else(|| Failure::failed("the publisher said nothing", ""))?;

        let claims = Claims { resource: &scene.signed_url, ..scene.claims };
        let answer = Some((at, status, code.as_bytes()));
        let story =
            Story::agent(&Sent { claims: &claims, key: scene.key, signed: scene.signed, sent: Some(sent), answer });
        let mut before = lines(&story);
        let after = before.split_off(before.len().saturating_sub(1));
        // The signatures of a copy are somebody else's.
        let own = if scene.is_copy { before.len().saturating_sub(1) } else { 0 };
        tell(scene.who, before.get(own..).unwrap_or_default())?;
        tell("publisher", &told.lines)?;
        tell(scene.who, &after)?;
        judge(scene, status, &told)
    }
}

fn judge(scene: &Scene<'_>, status: u16, told: &Told) -> Result<bool, Failure> {
    let right = told.code == scene.expected && status == told.status;
    let fetching = match told.fetching.as_micros() {
        0 => String::new(),
        us => format!(", {} of them to fetch", milliseconds(us)),
    };
    let took = milliseconds(told.took.as_micros());
    verdict(right, &format!("{status} {} in {took}{fetching}", told.code), scene.expected)
}

/// `=> what came: as it should be`, or what was expected instead.
pub(super) fn verdict(right: bool, came: &str, expected: &str) -> Result<bool, Failure> {
    let mark = if right {
        format!("{GOOD}as it should be{GOOD:#}")
    } else {
        format!("{ERROR}WRONG: {expected} was expected{ERROR:#}")
    };
    print::line(&format!("   {HINT}=>{HINT:#} {came}: {mark}"))?;
    Ok(right)
}

fn milliseconds(us: u128) -> String {
    format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10)
}

/// A free port of this machine, and its name.
async fn listen() -> Result<(TcpListener, String), Failure> {
    let wrong = |error: std::io::Error| Failure::failed(format!("no port to listen on: {error}"), "");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(wrong)?;
    let port = listener.local_addr().map_err(wrong)?.port();
    Ok((listener, format!("localhost:{port}")))
}

fn manifest(agent_id: &str, key: &KeyPair) -> Result<String, Failure> {
    let manifest = imagxp::Manifest {
        agent_id,
        public_key: key.public(),
        contact_email: Some("security@example.com"),
        keys: &[],
        revoked: &[],
    };
    let mut out = [0; spec::document::MANIFEST_MAX];
    Ok(write_manifest(&manifest, &mut out).map_err(Failure::of)?.to_owned())
}

fn public_code(status: u16, body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if status < 400 { String::new() } else { json["error"].as_str().unwrap_or_default().to_owned() }
}

/// A title.
pub(super) fn title(name: &str, plot: &str) -> Result<(), Failure> {
    print::line(&format!("{BOLD}{name}{BOLD:#}  {plot}"))
}

/// `who  HH:MM:SS.mmm | MODULE     | text`
pub(super) fn tell(who: &str, lines: &[String]) -> Result<(), Failure> {
    for line in lines {
        let mut parts = line.splitn(3, " | ");
        let mut part = || parts.next().unwrap_or_default();
        let (time, module, text) = (part(), part(), part());
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let color = if has(&["FAILED", "BLOCKED", "FAKE", "REFUSED", "WITHHELD"]) {
            ERROR
        } else if has(&["GRANTED", "CONFIRMED", "ACCEPTED", "RELEASED"]) {
            GOOD
        } else {
            print::PLAIN
        };
        print::line(&format!("   {DIM}{who:<9} {time}{DIM:#} | {module:<10} | {color}{text}{color:#}"))?;
    }
    Ok(())
}
