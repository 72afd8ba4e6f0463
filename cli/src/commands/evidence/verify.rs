//! `imagxp evidence verify`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use imagxp::PublicKey;
use imagxp::codec::hex;
use imagxp::evidence::{Head, Summary};
use serde_json::{Value, json};

use super::audit::{Audit, Found};
use super::lines::{Line, Lines};
use super::prove;
use crate::failure::{Failure, Outcome};
use crate::print::hex as digits;
use crate::print::{ERROR, GOOD, HINT};
use crate::progress::Progress;
use crate::{clock, keys, print};

/// Verify a whole log, or one record of it
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 proven, 1 something was altered or does not hold, 2 the command itself is wrong.

A whole log: that every line follows on the one before, that the publisher signed each checkpoint, and that documents
and signatures bear each decision out. A last line that was torn while being written is recovered, and no fault. Lines
behind the last checkpoint are chained, not signed: --sealed refuses them, and --head finds a log that was cut short.

One record (--record): what it proves with the documents in the file, which may be a part of a log; --manifest asks
whether an archived copy of the agent's manifest lists the key, too.

Examples:
  imagxp evidence verify log.jsonl --publisher publisher.pub.pem
  imagxp evidence verify log.jsonl --publisher old.pub.pem --publisher new.pub.pem --sealed --json
  imagxp evidence verify log.jsonl --publisher publisher.pub.pem --head 12:5f70bf18a086007016e948b04aed3b82…
  imagxp evidence verify log.jsonl --record 2 --manifest archived.json

JSON, of a log: one object with the members proven, lines, documents, decisions, checkpoints, head (count, hash),
sealed (line, time, kid), unsealed, torn, unknown_documents, faults (an array of line, fault, help), fault_count.
JSON, of a record: one object with the members proven, line, received, decided, verdict, signature, manifest, visa,
visa_key, resource, archive (each proven, unknown, absent, or refuted with its code), fault. What is not known is null.")]
pub(crate) struct Verify {
    /// The log; - is standard input
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// A public key of the publisher, under which checkpoints are good; may be repeated [default: $IMAGXP_PUBLIC_KEY]
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    publisher: Vec<PathBuf>,
    /// A head that was kept elsewhere, which the log must hold
    #[arg(long, value_name = "COUNT:HASH", value_parser = head, conflicts_with = "record")]
    head: Option<Head>,
    /// Refuse lines behind the last checkpoint, too
    #[arg(long, conflicts_with = "record")]
    sealed: bool,
    /// Prove one decision only: the number of its line
    #[arg(long, value_name = "LINE")]
    record: Option<u64>,
    /// A copy of the agent's manifest from another archive
    #[arg(long, value_name = "FILE", requires = "record")]
    manifest: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `12:5f70…`
fn head(text: &str) -> Result<Head, String> {
    let wrong = || "write it as this command shows it: COUNT:HASH".to_owned();
    let (count, hash) = text.split_once(':').ok_or_else(wrong)?;
    let hash = hex::decode_array(hash.as_bytes()).map_err(|_| wrong())?;
    Ok(Head { count: count.parse().map_err(|_| wrong())?, hash })
}

impl Verify {
    pub(super) fn run(self) -> Outcome {
        let good = match self.record {
            Some(line) => prove::run(&self.log, line, self.manifest.as_deref(), self.json)?,
            None => self.verify_log()?,
        };
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn verify_log(&self) -> Result<bool, Failure> {
        let keys = self.keys()?;
        let (mut lines, total) = Lines::open(&self.log)?;
        let mut progress = Progress::new(total);
        let mut memory = vec![0; Audit::WORDS];
        let mut audit = Audit::new(&keys, &mut memory, self.head);
        let mut rest = Vec::new();
        while let Some(line) = lines.next()? {
            match line {
                Line::Whole(line) => {
                    audit.line(line).map_err(Failure::of)?;
                    progress.line(line.len() + 1);
                }
                Line::Rest(line) => rest = line.to_vec(),
            }
        }
        drop(progress);
        let (mut found, summary) = audit.finish(&rest);
        if self.sealed && (summary.unsealed > 0 || summary.torn > 0) {
            let help = "lines stand behind the last checkpoint: nothing signs them".to_owned();
            let line = summary.head.count - summary.unsealed + 1;
            found.faults.push(super::audit::Fault { line, name: "UNSEALED", help });
        }
        let report = Report { found, summary };
        if self.json {
            print::line(&report.json().to_string())?
        } else {
            report.print()?
        }
        Ok(report.found.faults.is_empty())
    }

    fn keys(&self) -> Result<Vec<PublicKey>, Failure> {
        if !self.publisher.is_empty() {
            return self.publisher.iter().map(|file| keys::public_file(file)).collect();
        }
        let fix = "pass --publisher FILE with the publisher's public key";
        let text = std::env::var(keys::PUBLIC_KEY).map_err(|_| Failure::usage("whose checkpoints are good?", fix))?;
        Ok(vec![keys::read_public(keys::value_of(text.as_bytes(), keys::PUBLIC_KEY))?])
    }
}

/// What a whole log comes to.
struct Report {
    found: Found,
    summary: Summary,
}

/// More faults than this are counted, not shown.
const SHOWN: usize = 100;

impl Report {
    fn json(&self) -> Value {
        let (found, summary) = (&self.found, &self.summary);
        let sealed = found.sealed.as_ref();
        let faults = found.faults.iter().take(SHOWN);
        json!({
            "proven": found.faults.is_empty() && sealed.is_some(),
            "lines": summary.head.count,
            "documents": found.documents,
            "decisions": found.decisions,
            "checkpoints": found.checkpoints,
            "head": {"count": summary.head.count, "hash": digits(&summary.head.hash)},
            "sealed": sealed.map(|(line, at, kid)| json!({"line": line, "time": clock::text(*at), "kid": kid})),
            "unsealed": summary.unsealed,
            "torn": summary.torn,
            "unknown_documents": found.unknown,
            "faults": faults.map(|f| json!({"line": f.line, "fault": f.name, "help": f.help})).collect::<Vec<_>>(),
            "fault_count": found.faults.len(),
        })
    }

    fn print(&self) -> Result<(), Failure> {
        let (found, summary) = (&self.found, &self.summary);
        if found.faults.is_empty() {
            self.print_proven()?;
        } else {
            print::line(&format!("{ERROR}NOT PROVEN{ERROR:#}: {} faults", found.faults.len()))?;
        }
        for fault in found.faults.iter().take(SHOWN) {
            print::line(&format!("  {HINT}line {}{HINT:#}: {}: {}", fault.line, fault.name, fault.help))?;
        }
        if found.faults.len() > SHOWN {
            print::line(&format!("  and {} more", found.faults.len() - SHOWN))?;
        }
        let kinds =
            [(found.documents, "documents"), (found.decisions, "decisions"), (found.checkpoints, "checkpoints")];
        print::row("lines", &kinds.map(|(count, kind)| format!("{count} {kind}")).join(", "))?;
        print::row("head", &format!("{}:{}", summary.head.count, digits(&summary.head.hash)))?;
        if summary.unsealed > 0 {
            let what = format!("{} lines behind the last checkpoint: chained, not signed", summary.unsealed);
            print::row("unsealed", &what)?;
        }
        if summary.torn > 0 {
            let what = format!("{} bytes of a last line that was torn while being written: no record", summary.torn);
            print::row("torn", &what)?;
        }
        if found.unknown > 0 {
            print::row("unknown", &format!("{} decisions rest on documents that are not in this log", found.unknown))?;
        }
        Ok(())
    }

    /// What is proven, and no more.
    fn print_proven(&self) -> Result<(), Failure> {
        match &self.found.sealed {
            Some((line, at, kid)) => {
                print::line(&format!(
                    "{GOOD}PROVEN{GOOD:#}: nothing before line {line} was altered since it was signed"
                ))?;
                print::row("signed", &format!("by {kid}, which says at {}", clock::text(*at)))?;
            }
            None => print::line("CHAINED, NOT SIGNED: there is no checkpoint, so anybody could have written this log")?,
        }
        print::row("decisions", "each is borne out by its signatures and by the documents that are here")?;
        print::row(
            "not proven",
            "that the publisher keeps no other log, nor that this is its end: keep the head elsewhere",
        )
    }
}
