//! `imagxp feedback sign` and `imagxp feedback verify`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use imagxp::codec::{base64, decimal};
use imagxp::feedback::{self, Feedback as Word, Judgement, Outcome as Settled, Reason, Signer};
use imagxp::jose::jws;
use imagxp::key::{Digest, sha256};
use imagxp::{Signing, UnixMillis, money, spec};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::print::{ERROR, GOOD, hex, shown};
use crate::request_file::RequestFile;
use crate::{clock, input, keys, print, random};

/// Sign feedback on what a page was worth, or verify it
#[derive(Args)]
#[command(after_help = "\
Examples:
  imagxp feedback sign --url https://pub.example.com/a --score 0.2 --reason SEO_SPAM \\
    --audience https://broker.example.com --visa TOKEN
  imagxp feedback verify TOKEN --agent-id bot.example.com --agent-key agent.pub.pem")]
pub(crate) struct Feedback {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Sign(Sign),
    Verify(Verify),
}

impl Feedback {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Sign(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

/// Sign feedback: prints the token for x-imagxp-feedback
#[derive(Args)]
#[command(after_help = "\
Above 0.5 the broker releases the payment, below 0.5 it withholds it, exactly 0.5 changes nothing.

Examples:
  imagxp feedback sign --url https://pub.example.com/a --score 0.9 --reason HIGH_QUALITY \\
    --audience https://broker.example.com --visa visa.txt
  imagxp feedback sign --url https://pub.example.com/a --score 0.2 --reason SEO_SPAM --audience pub.example.com \\
    --request headers.txt")]
struct Sign {
    /// What was fetched
    #[arg(long)]
    url: String,
    /// How good it was, 0 to 1
    #[arg(long, value_name = "DECIMAL", value_parser = score)]
    score: u32,
    /// Why
    #[arg(long, value_name = "REASON", value_parser = REASONS, ignore_case = true)]
    reason: String,
    /// Whom it is for: the broker, or the publisher (aud)
    #[arg(long, value_name = "NAME")]
    audience: String,
    /// The headers of the request that is judged
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The visa that paid for it: the token, a file with it, or its jti
    #[arg(long, value_name = "FILE|TOKEN|JTI")]
    visa: Option<String>,
    /// Its own name [default: random]
    #[arg(long, value_name = "NAME")]
    jti: Option<String>,
    #[command(flatten)]
    agent: keys::Agent,
    /// The time to sign [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<UnixMillis>,
    /// Print a JSON object of the header
    #[arg(long)]
    json: bool,
    /// Development mode: localhost names
    #[arg(long)]
    dev: bool,
}

/// The wire's names, as clap lists them.
const REASONS: [&str; 5] = ["SEO_SPAM", "INACCURATE", "HATE_SPEECH", "HIGH_QUALITY", "LOW_QUALITY_SPAM"];

fn reason(name: &str) -> Reason {
    // clap has checked that it is one of them.
    let named = |reason: &Reason| reason.name().eq_ignore_ascii_case(name);
    Reason::ALL.into_iter().find(named).unwrap_or(Reason::Inaccurate)
}

fn score(text: &str) -> Result<u32, String> {
    let exact = decimal::scaled(text, 6).filter(|(score, exact)| *exact && *score <= 1_000_000);
    exact.and_then(|(score, _)| score.try_into().ok()).ok_or_else(|| "0 to 1, at most six places".to_owned())
}

impl Sign {
    fn run(self) -> Outcome {
        let agent_id = self.agent.name(self.dev)?;
        let key = self.agent.key_pair()?;
        let (hedge, jti) = (random::bytes::<32>()?, random::name_or(self.jti.as_deref())?);
        let request = self.request.as_deref().map(payload_digest).transpose()?;
        let visa = self.visa.as_deref().map(visa_name).transpose()?;
        let word = Word {
            agent_id,
            url: &self.url,
            score: self.score,
            reason: reason(&self.reason),
            audience: &self.audience,
            jti: &jti,
            request: request.as_ref(),
            visa: visa.as_deref(),
        };
        let mut out = [0; spec::request::FEEDBACK_MAX];
        let signing = Signing { hedge: &hedge, check: true };
        let token = feedback::sign(&key, &word, clock::or_now(self.now), signing, &mut out).map_err(|error| {
            let fix = "the url has at most 2,048 bytes, audience 256, jti 1 to 128, and the whole token 2,048";
            Failure::usage(error.name(), if error == imagxp::Error::FeedbackInvalid { fix } else { error.help() })
        })?;
        if self.json {
            print::line(&json!({ spec::header::FEEDBACK: token }).to_string())?;
        } else {
            print::line(token)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The SHA-256 of the payload's JSON.
fn payload_digest(file: &Path) -> Result<Digest, Failure> {
    let request = RequestFile::parse(&input::read(file)?)?;
    let fix = "give the headers of a signed request: imagxp sign … > headers.txt";
    let wrong = || Failure::usage(format!("{}: no x-imagxp-payload in base64", file.display()), fix);
    let payload = request.get(&[spec::header::PAYLOAD]).ok_or_else(wrong)?;
    let mut json = vec![0; payload.len()];
    base64::decode(payload.as_bytes(), &mut json).map(sha256).map_err(|_| wrong())
}

/// The `jti` of a token; a text that is no token is one itself.
fn visa_name(text: &str) -> Result<String, Failure> {
    let read = input::read_or_text(Some(text))?;
    let Ok(token) = jws::Token::parse(read.trim_ascii()) else {
        // A file that holds no visa may be a key: nothing of it is sent.
        let named = read == text.as_bytes();
        let fix = "name a file with the token, or give the token or its jti";
        return if named { Ok(text.to_owned()) } else { Err(Failure::usage("--visa: that file holds no visa", fix)) };
    };
    let mut json = [0; jws::CLAIMS_MAX];
    let claims: Option<Value> = token.claims(&mut json).ok().and_then(|json| serde_json::from_slice(json).ok());
    let jti = claims.as_ref().and_then(|claims| claims["jti"].as_str());
    let fix = "leave out --visa, and name the request: --request headers.txt";
    jti.map(str::to_owned).ok_or_else(|| Failure::usage("the visa has no jti: it cannot be named", fix))
}

/// Verify feedback: what it says, and what that does to the payment
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 the feedback is good, 1 it is refused, 2 the command itself is wrong.

Either form is read: the token, and the reference's JSON object. Whose key it must be is yours to say: this command
looks at no manifest.

Examples:
  imagxp feedback verify TOKEN --agent-id bot.example.com --agent-key agent.pub.pem
  imagxp feedback verify feedback.txt --agent-id bot.example.com --agent-key agent.pub.pem \\
    --audience https://broker.example.com --json

JSON: one object with the members verified, code, help, url, score, outcome (RELEASE, WITHHOLD or UNCHANGED), reasons,
time, jti, request (SHA-256 in hex), visa, now. What is not known is null.")]
struct Verify {
    /// The feedback, or a file with it; - or nothing is standard input
    #[arg(value_name = "FILE|TEXT")]
    feedback: Option<String>,
    /// The agent that must have signed it
    #[arg(long, value_name = "NAME")]
    agent_id: String,
    /// That agent's public key
    #[arg(long, value_name = "FILE")]
    agent_key: PathBuf,
    /// A name of the reader, one of which it must be for; may be repeated [default: any]
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// The time to judge by [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<UnixMillis>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    fn run(self) -> Outcome {
        let text = input::read_or_text(self.feedback.as_deref())?;
        let audiences: Vec<_> = self.audience.iter().map(String::as_str).collect();
        let key = keys::public_file(&self.agent_key)?;
        let signer = Signer { agent_id: &self.agent_id, key: &key, audiences: &audiences };
        let now = clock::or_now(self.now);
        let mut memory = [0; Judgement::MEMORY];
        let judgement = feedback::verify(text.trim_ascii(), &signer, now, &mut memory);
        match (&judgement, self.json) {
            (Ok(judgement), true) => print::line(&describe(judgement, now).to_string())?,
            (Ok(judgement), false) => print_good(judgement)?,
            (Err(error), true) => print::line(
                &json!({"verified": false, "code": error.name(), "help": error.help(), "now": clock::text(now)})
                    .to_string(),
            )?,
            (Err(error), false) => {
                print::line(&format!("{ERROR}REFUSED{ERROR:#} {}", error.name()))?;
                print::row("help", error.help())?;
                print::row("expected", &format!("of {} with key {}", shown(&self.agent_id), key.kid().as_str()))?;
            }
        }
        Ok(if judgement.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn describe(judgement: &Judgement<'_>, now: UnixMillis) -> Value {
    json!({
        "verified": true,
        "code": "OK",
        "help": null,
        "url": judgement.url,
        "score": money::decimal(judgement.score.into()).as_str(),
        "outcome": judgement.outcome.name(),
        "reasons": judgement.reasons().map(Reason::name).collect::<Vec<_>>(),
        "time": clock::text(judgement.ts),
        "jti": judgement.jti,
        "request": judgement.request.map(|request| hex(&request)),
        "visa": judgement.visa,
        "now": clock::text(now),
    })
}

fn print_good(judgement: &Judgement<'_>) -> Result<(), Failure> {
    let reasons: Vec<_> = judgement.reasons().map(Reason::name).collect();
    let settled = match judgement.outcome {
        Settled::Release => "RELEASE: the publisher gets its payment",
        Settled::Withhold => "WITHHOLD: the payment is withheld",
        Settled::Unchanged => "UNCHANGED: exactly 0.5",
    };
    print::line(&format!("{GOOD}VERIFIED{GOOD:#}: this key signed this feedback"))?;
    print::row("url", &shown(judgement.url))?;
    print::row("score", &money::decimal(judgement.score.into()))?;
    print::row("outcome", settled)?;
    print::row("reasons", &reasons.join(", "))?;
    print::row("time", &clock::text(judgement.ts))?;
    for (name, value) in [("jti", judgement.jti), ("visa", judgement.visa)] {
        print::row(name, &shown(value.unwrap_or("none")))?;
    }
    print::row("request", &judgement.request.map_or("none".to_owned(), |request| hex(&request)))
}
