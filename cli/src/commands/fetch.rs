//! `imagxp fetch`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::Response;
use http::header::LOCATION;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use imagxp::Error;
use imagxp::story::{Sent, Story};
use imagxp_host::fetch::{Settings, address::Reach, target::Target};
use imagxp_host::{publisher::lines, system};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::client::{Connection, broken};
use crate::failure::{Failure, Outcome};
use crate::wish::Wish;
use crate::{net, print};

/// Get a page with a signed request, as an agent does
#[derive(Args)]
#[command(after_help = "\
The page goes to standard output, the agent's side of the story to standard error. Redirects are not followed: each URL
wants a signature of its own. Exit codes: 0 the page came, 1 it did not, 2 the command itself is wrong.

Examples:
  imagxp fetch https://pub.example.com/a --purpose RAG_RETRIEVAL
  imagxp fetch https://pub.example.com/a --purpose QUOTATION --include --output page.html
  imagxp fetch http://localhost:3000/a --purpose SUMMARY --dev --agent-id localhost:8080")]
pub(crate) struct Fetch {
    #[command(flatten)]
    wish: Wish,
    /// Write the page to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print status and headers of the answer, too
    #[arg(long, short)]
    include: bool,
    /// Tell no story
    #[arg(long, short)]
    quiet: bool,
    /// Seconds for the whole request
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    max_time: u64,
    #[command(flatten)]
    net: net::Net,
}

/// Of a refusal, as much is read as its code takes.
const REFUSAL_MAX: usize = 4_096;

impl Fetch {
    pub(crate) fn run(self) -> Outcome {
        let target = self.wish.target()?;
        let runtime = net::runtime()?;
        let settings = {
            let _inside = runtime.enter();
            self.net.settings(self.wish.dev)?
        };
        let limit = Duration::from_secs(self.max_time);
        let fetched = runtime.block_on(async { timeout(limit, self.fetch(&target, &settings)).await });
        fetched.map_err(|_| Failure::failed(format!("no answer within {} s", self.max_time), "see --max-time"))?
    }

    async fn fetch(&self, target: &Target, settings: &Settings) -> Outcome {
        let url = target.url();
        let (claims, key, signed) = (self.wish.claims(&url)?, self.wish.agent.key_pair()?, system::now());
        let headers = self.wish.sign(&key, &claims, signed)?;
        let mut told = Sent { claims: &claims, key: key.public(), signed, sent: None, answer: None };
        // The user typed the URL: any address is good. Time is bounded as a whole.
        let reach = if self.wish.dev { Reach::Loopback } else { Reach::Anywhere };
        let mut connection = Connection::open(target, settings, &reach, Duration::from_secs(self.max_time)).await?;
        told.sent = Some(system::now());
        let response = connection.get(target, &headers).await?;
        let (status, at) = (response.status().as_u16(), system::now());
        let location = response.headers().get(LOCATION).cloned();
        let body = self.write(response).await?;

        let code = error_code(status, &body);
        // A story knows admissions and the protocol's refusals; of anything else the error below tells.
        let is_told = (200..300).contains(&status) || code.is_some();
        let known = code.as_deref().unwrap_or_default();
        told.answer = is_told.then_some((at, status, known.as_bytes()));
        if !self.quiet {
            lines(&Story::agent(&told)).iter().for_each(|line| print::remark(line));
        }
        match status {
            200..300 => Ok(ExitCode::SUCCESS),
            300..400 => Err(redirected(status, location.as_ref())),
            _ => Err(refused(status, code.as_deref())),
        }
    }

    /// Writes the answer out, and gives back the start of its body.
    async fn write(&self, response: Response<Incoming>) -> Result<Vec<u8>, Failure> {
        let mut out: Box<dyn tokio::io::AsyncWrite + Unpin> = match &self.output {
            Some(path) => Box::new(tokio::fs::File::create(path).await.map_err(|error| {
                Failure::usage(format!("{}: {error}", path.display()), "name a file that can be written")
            })?),
            None => Box::new(tokio::io::stdout()),
        };
        let mut start = Vec::new();
        if self.include {
            let head = head(&response);
            out.write_all(head.as_bytes()).await.map_err(unwritten)?;
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            let room = REFUSAL_MAX.saturating_sub(start.len()).min(data.len());
            start.extend(data.iter().take(room));
            out.write_all(&data).await.map_err(unwritten)?;
        }
        out.flush().await.map_err(unwritten)?;
        Ok(start)
    }
}

fn unwritten(error: std::io::Error) -> Failure {
    Failure::failed(format!("the page cannot be written: {error}"), "is the disk full?")
}

fn head(response: &Response<Incoming>) -> String {
    let mut head = format!("{:?} {}\n", response.version(), response.status());
    for (name, value) in response.headers() {
        head.push_str(&format!("{name}: {}\n", print::shown(&String::from_utf8_lossy(value.as_bytes()))));
    }
    head.push('\n');
    head
}

/// The code in a refusal's body, if it is one of the protocol's.
fn error_code(status: u16, body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let code = json["error"].as_str().filter(|_| status >= 400)?;
    known(code).map(|error| error.name().to_owned())
}

fn known(code: &str) -> Option<Error> {
    Error::ALL.iter().copied().find(|error| error.name() == code)
}

/// What the answer means for the agent.
fn refused(status: u16, code: Option<&str>) -> Failure {
    let fix = match code.and_then(known) {
        Some(Error::IdentityUnverified) => {
            "is the manifest at https://AGENT/.well-known/imagxp-agent.json, with this key? `imagxp manifest` writes it"
        }
        Some(error) => error.help(),
        None => "its answer is above; it holds no IMAGXP code",
    };
    Failure::failed(format!("the publisher answered {status} {}", code.unwrap_or_default()).trim_end(), fix)
}

fn redirected(status: u16, location: Option<&http::HeaderValue>) -> Failure {
    let to = location.and_then(|to| to.to_str().ok()).map_or_else(|| "elsewhere".to_owned(), print::shown);
    Failure::failed(
        format!("the publisher redirects ({status}) to {to}"),
        "fetch that URL itself: a signature is good for one URL only",
    )
}
