//! `imagxp demo`: an agent's manifest host, a publisher, and five visits, all real HTTP on this machine.

mod publisher;
mod scenes;

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::BodyExt as _;
use imagxp::story::{Sent, Story};
use imagxp::{Claims, KeyPair, spec, write_manifest};
use imagxp_host::fetch::{Settings, address::Reach, target::Target};
use imagxp_host::publisher::lines;
use imagxp_host::system;
use tokio::net::TcpListener;

use self::publisher::{Site, Told};
use self::scenes::Scene;
use super::keygen;
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::print::{BOLD, DIM, ERROR, GOOD, HINT};
use crate::{net, print, serve, sign};

/// Watch a publisher decide about five visits, on this machine
#[derive(Args)]
#[command(after_help = "\
Starts an agent's manifest host and a publisher on free ports of this machine, and sends the publisher real HTTP
requests: a signed one, one of a liar who claims the agent's name, a repeated one, a late one, and one that was signed
for another page. Exit code 0 if every decision was right.

Example:
  imagxp demo")]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(self) -> Outcome {
        net::runtime()?.block_on(play())
    }
}

/// What stands on the stage.
pub(super) struct Stage {
    settings: Settings,
    /// The agent's name and key.
    pub(super) agent_id: String,
    pub(super) key: KeyPair,
    /// Somebody else's key.
    pub(super) foreign_key: KeyPair,
    /// Where the publisher is.
    authority: String,
}

async fn play() -> Outcome {
    let (stage, mut site) = Stage::set().await?;
    stage.introduce()?;
    let mut wrong = 0_u32;
    let mut first = Vec::new();
    for number in 1..=scenes::COUNT {
        let scene = scenes::make(&stage, number, &first)?;
        let right = stage.act(&mut site, number, &scene).await?;
        wrong += u32::from(!right);
        if number == 1 {
            first = scene.headers;
        }
    }
    match wrong {
        0 => {
            print::line(&format!("{GOOD}Every decision was right.{GOOD:#}"))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Failure::failed(
            format!("{wrong} decisions were wrong"),
            "this is a defect: please report the lines above",
        )),
    }
}

impl Stage {
    async fn set() -> Result<(Self, Site), Failure> {
        let settings = Settings::this_machine().map_err(|error| Failure::failed(error, ""))?;
        let (key, foreign_key) = (keygen::generate()?, keygen::generate()?);
        let (listener, agent_id) = listen().await?;
        let document = Bytes::from(manifest(&agent_id, &key)?);
        tokio::spawn(serve::serve(listener, move |request, _| {
            let answer = serve::manifest(&request, &document);
            async { answer }
        }));
        let (listener, authority) = listen().await?;
        let site = Site::open(listener, &authority, settings.clone())?;
        Ok((Self { settings, agent_id, key, foreign_key, authority }, site))
    }

    fn introduce(&self) -> Result<(), Failure> {
        print::line(&format!("{BOLD}Five visits to a publisher{BOLD:#}"))?;
        print::row("agent", &format!("{}, manifest at http://{0}{}", self.agent_id, spec::MANIFEST_PATH))?;
        print::row("its key", self.key.public().kid().as_str())?;
        print::row("another key", self.foreign_key.public().kid().as_str())?;
        print::row("publisher", &format!("http://{}", self.authority))?;
        print::row("its policy", publisher::POLICY)?;
        print::line("")
    }

    /// The URL of a page of the publisher.
    pub(super) fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    /// One visit: true if it was decided rightly.
    async fn act(&self, site: &mut Site, number: usize, scene: &Scene<'_>) -> Result<bool, Failure> {
        print::line(&format!("{BOLD}{number}  {}{BOLD:#}  {}", scene.title, scene.plot))?;
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
        tell("visitor", before.get(own..).unwrap_or_default())?;
        tell("publisher", &told.lines)?;
        tell("visitor", &after)?;
        Self::judge(scene, status, &told)
    }

    fn judge(scene: &Scene<'_>, status: u16, told: &Told) -> Result<bool, Failure> {
        let right = told.code == scene.expected && status == told.status;
        let mark = if right {
            format!("{GOOD}as it should be{GOOD:#}")
        } else {
            format!("{ERROR}WRONG: {} was expected{ERROR:#}", scene.expected)
        };
        let fetching = match told.fetching.as_micros() {
            0 => String::new(),
            us => format!(", {} of them to fetch", milliseconds(us)),
        };
        let took = milliseconds(told.took.as_micros());
        print::line(&format!("   {HINT}=>{HINT:#} {status} {} in {took}{fetching}: {mark}", told.code))?;
        print::line("")?;
        Ok(right)
    }
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

/// `who  HH:MM:SS.mmm | MODULE     | text`
fn tell(who: &str, lines: &[String]) -> Result<(), Failure> {
    for line in lines {
        let mut parts = line.splitn(3, " | ");
        let mut part = || parts.next().unwrap_or_default();
        let (time, module, text) = (part(), part(), part());
        let color = if text.contains("FAILED") || text.contains("BLOCKED") || text.contains("FAKE") {
            ERROR
        } else if text.contains("GRANTED") || text.contains("CONFIRMED") {
            GOOD
        } else {
            print::PLAIN
        };
        print::line(&format!("   {DIM}{who:<9} {time}{DIM:#} | {module:<10} | {color}{text}{color:#}"))?;
    }
    Ok(())
}

/// Signs a visit; see [`sign::sign`].
pub(super) fn headers(
    key: &KeyPair,
    claims: &Claims<'_>,
    at: imagxp::UnixMillis,
) -> Result<Vec<(&'static str, String)>, Failure> {
    sign::sign(key, claims, None, at)
}
