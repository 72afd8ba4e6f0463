//! `imagxp evidence record`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use imagxp::evidence::{
    Decided, Fetched, Finding, Head, Record as Line, find_key, write_checkpoint, write_decision, write_document,
};
use imagxp::jose::jws::Token;
use imagxp::key::{Digest, sha256};
use imagxp::{Error, Grant, KeyPair, Kind, Policy, Proof, PublicKey, Signing, UnixMillis, Visit, spec};
use serde_json::json;

use super::tail::Tail;
use crate::failure::{Failure, Outcome};
use crate::print::{ERROR, GOOD, hex};
use crate::question::Question;
use crate::request_file::RequestFile;
use crate::verifier::{self, Asked};
use crate::{clock, keys, print, random, target};

/// Verify one request, and append it with its documents to a log
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 admitted, 1 refused, 2 the command itself is wrong. A request that was refused before its signature was
found good proves nothing, and is recorded with --all only.

The log goes on from its last line; a torn one is cut off. With the publisher's key, a checkpoint is signed over what
was appended. A document from a file is recorded as if it came from its URL at the time given: that is yours to vouch
for.

Examples:
  imagxp evidence record log.jsonl headers.txt --url https://pub.example.com/a --key publisher.key.pem
  imagxp evidence record log.jsonl headers.txt --url https://pub.example.com/a --manifest imagxp-agent.json \\
    --policy policy.json --jwks jwks.json --json

JSON: one object with the members admitted, code, recorded, lines (appended), head (count, hash), sealed, torn (bytes
that were cut off).")]
pub(super) struct Record {
    /// The log: a file that is there, or a new one
    #[arg(value_name = "LOG")]
    log: PathBuf,
    #[command(flatten)]
    question: Question,
    /// File with the publisher's private key, for checkpoints [default: $IMAGXP_PRIVATE_KEY, or none are made]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Record refusals without a good signature, too
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Record {
    pub(super) fn run(self) -> Outcome {
        let question = &self.question;
        target::announce_development(question.dev);
        let fix = "pass --url: a record without the URL that was requested binds nothing";
        let target = question.target()?.ok_or_else(|| Failure::usage("which URL was requested?", fix))?;
        let key = self.key()?;
        let file = question.request()?;
        let unreadable = |error: Error| Failure::failed(format!("{}: nothing to record", error.name()), error.help());
        let visit = question.visit(file.headers().map_err(unreadable)?, Some(&target));
        let mut words = vec![0; Policy::WORDS];
        let policy = question.policy(&mut words)?;
        let sources = question.sources()?;
        let mut tail = Tail::open(&self.log)?;

        let (received, mut asked) = (clock::or_now(question.now), Vec::new());
        let mut page = Page { head: tail.head, text: Vec::new() };
        let write = |verdict: Result<&Grant<'_>, Error>, asked: &[Asked]| {
            let times = (received, clock::or_now(question.now));
            let recorded = self.write(&visit, times, verdict, asked, &file, &tail, &mut page);
            recorded.map(|recorded| (verdict.err(), recorded))
        };
        let (error, recorded) =
            verifier::decide_then(&visit, &policy, &sources, received, &mut asked, write)?.map_err(Failure::of)?;
        let news = page.head.count - tail.head.count + tail.unsealed;
        let sealed = match &key {
            Some(key) if news > 0 => page.seal(key, clock::or_now(question.now))?,
            _ => false,
        };
        if !page.text.is_empty() {
            tail.append(&page.text)?;
        }
        let lines = page.head.count - tail.head.count;
        self.print(&Done { error, recorded, lines, head: page.head, sealed, torn: tail.torn })?;
        Ok(if error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// The publisher's key, if there is one.
    fn key(&self) -> Result<Option<KeyPair>, Failure> {
        if self.key.is_none() && std::env::var_os(keys::PRIVATE_KEY).is_none() {
            print::remark("no key: nothing signs these lines. --key FILE makes checkpoints");
            return Ok(None);
        }
        keys::key_pair(self.key.as_deref()).map(Some)
    }

    /// Writes the documents that are news, then the decision; nothing for a refusal that proves nothing.
    #[expect(clippy::too_many_arguments, reason = "one call")]
    fn write(
        &self,
        visit: &Visit<'_>,
        (received, decided): (UnixMillis, UnixMillis),
        verdict: Result<&Grant<'_>, Error>,
        asked: &[Asked],
        file: &RequestFile,
        tail: &Tail,
        page: &mut Page,
    ) -> Result<bool, Error> {
        let before = (page.head, page.text.len());
        let mut documents: Vec<Digest> = Vec::new();
        for (asked, body) in asked.iter().filter_map(|asked| asked.body.as_deref().map(|body| (asked, body))) {
            documents.push(sha256(body));
            // A fetch is news each time; a file is not.
            let known = asked.answer == "file" && tail.documents.has(&asked.url, &sha256(body));
            if !known && body.len() <= spec::document::JWKS_MAX {
                let document = Fetched { url: &asked.url, body, at: received };
                page.line(|head, out| write_document(&document, head, out).map(str::len))?;
            }
        }
        let visa_key = visa_key(asked, file, verdict);
        let decided = Decided { visit, received, decided, documents: &documents, visa_key: visa_key.as_ref(), verdict };
        let line = page.line(|head, out| write_decision(&decided, head, out).map(str::len))?;
        let wanted = self.all || verdict.is_ok() || is_signed(&line);
        if !wanted {
            page.head = before.0;
            page.text.truncate(before.1);
        }
        Ok(wanted)
    }

    fn print(&self, done: &Done) -> Result<(), Failure> {
        let code = done.error.map_or("OK", Error::name);
        let head = format!("{}:{}", done.head.count, hex(&done.head.hash));
        if self.json {
            let report = json!({
                "admitted": done.error.is_none(),
                "code": code,
                "recorded": done.recorded,
                "lines": done.lines,
                "head": {"count": done.head.count, "hash": hex(&done.head.hash)},
                "sealed": done.sealed,
                "torn": done.torn,
            });
            return print::line(&report.to_string());
        }
        match done.error {
            None => print::line(&format!("{GOOD}ADMITTED{GOOD:#}"))?,
            Some(error) => {
                print::line(&format!("{ERROR}REFUSED{ERROR:#} {code}"))?;
                print::row("help", error.help())?;
            }
        }
        let sealed = if done.sealed { ", the last a checkpoint" } else { "" };
        match done.recorded {
            true => print::row("recorded", &format!("{} lines{sealed}", done.lines))?,
            false => print::row("recorded", "nothing: no good signature, so it proves nothing (--all records it)")?,
        }
        if done.torn > 0 {
            print::row("torn", &format!("{} bytes of a torn last line were cut off", done.torn))?;
        }
        print::row("head", &head)
    }
}

/// What came of it.
struct Done {
    error: Option<Error>,
    recorded: bool,
    lines: u64,
    head: Head,
    sealed: bool,
    torn: u64,
}

/// Lines that are to be appended.
struct Page {
    head: Head,
    text: Vec<u8>,
}

impl Page {
    fn line(&mut self, write: impl Fn(&Head, &mut [u8]) -> Result<usize, Error>) -> Result<String, Error> {
        let mut out = vec![0; spec::evidence::LINE_MAX];
        let len = write(&self.head, &mut out)?;
        out.truncate(len);
        let line = String::from_utf8(out).map_err(|_| Error::JsonUtf8)?;
        self.head = self.head.after(&line);
        self.text.extend_from_slice(line.as_bytes());
        Ok(line)
    }

    fn seal(&mut self, key: &KeyPair, now: UnixMillis) -> Result<bool, Failure> {
        let hedge = random::bytes::<32>()?;
        let signing = Signing { hedge: &hedge, check: true };
        self.line(|head, out| write_checkpoint(key, head, now, signing, out).map(str::len)).map_err(Failure::of)?;
        Ok(true)
    }
}

/// Whether the recorded request's own signature is good.
fn is_signed(line: &str) -> bool {
    match Line::parse(line.trim_end().as_bytes()) {
        Ok((Line::Decision(decision), _)) => {
            decision.prove(&[], &mut []).is_ok_and(|findings| findings.signature == Finding::Proven)
        }
        _ => false,
    }
}

/// The key that verified the visa or ad proof, if one did.
fn visa_key(asked: &[Asked], file: &RequestFile, verdict: Result<&Grant<'_>, Error>) -> Option<PublicKey> {
    let names = match verdict {
        Ok(grant) if grant.proof == Proof::AdProof => &[spec::header::PROOF][..],
        Ok(grant) if grant.proof != Proof::Visa => return None,
        _ => &[spec::header::CREDENTIAL, spec::header::PAYMENT],
    };
    let text = file.get(names)?.as_bytes();
    let token = Token::parse(text).ok()?;
    let sets = asked.iter().filter(|asked| asked.kind == Kind::Jwks).filter_map(|asked| asked.body.as_deref());
    let mut keys = sets.filter_map(|set| find_key(set, text));
    keys.find(|key| key.verify(&token.digest(), token.signature()).is_ok())
}
