//! One record with its documents, and against an archived manifest.

use std::path::Path;

use imagxp::evidence::{Decision, Finding, Findings, Outcome, Record, Target, What};
use imagxp::{Error, spec};
use serde_json::{Value, json};

use super::documents::Documents;
use super::lines::{Line, Lines};
use crate::failure::Failure;
use crate::print::{ERROR, GOOD, HINT, shown};
use crate::{clock, input, print};

/// Proves the decision of one line of a log, or of a part of one. Whether it holds.
pub(super) fn run(log: &Path, line: u64, manifest: Option<&Path>, json: bool) -> Result<bool, Failure> {
    let (text, documents) = read(log, line)?;
    let fix = "`--record` takes the number of a line with a decision, from 1";
    let decision = match Record::parse(&text) {
        Ok((Record::Decision(decision), _)) => decision,
        Ok(_) => return Err(Failure::usage(format!("line {line} is no decision"), fix)),
        Err(what) => return Err(Failure::failed(format!("line {line}: {}: {}", what.name(), what.help()), "")),
    };
    let mut scratch = vec![0; spec::document::JWKS_MAX];
    let findings = decision.prove(&documents.of(&decision.documents), &mut scratch).map_err(Failure::of)?;
    let archive = manifest.map(input::read).transpose()?.map(|copy| decision.check_manifest(&copy));
    let report = Report { line, decision, findings, archive };
    if json {
        print::line(&report.json().to_string())?
    } else {
        report.print()?
    }
    Ok(report.fault().is_none() && !matches!(report.archive, Some(Finding::Refuted(_) | Finding::Absent)))
}

/// The wanted line, and every document of the file.
fn read(log: &Path, wanted: u64) -> Result<(Vec<u8>, Documents), Failure> {
    let (mut lines, _) = Lines::open(log)?;
    let (mut documents, mut found, mut number) = (Documents::default(), None, 0);
    while let Some(line) = lines.next()? {
        // A cut-out may end without a newline; a torn line is no record either way.
        let (Line::Whole(line) | Line::Rest(line)) = line;
        number += 1;
        if number == wanted {
            found = Some(line.to_vec());
        } else if let Ok((Record::Document(document), _)) = Record::parse(line) {
            documents.add(&document);
        }
    }
    let what = format!("{}: there is no line {wanted}", log.display());
    found.map(|text| (text, documents)).ok_or_else(|| Failure::usage(what, format!("it has {number} lines")))
}

struct Report<'l> {
    line: u64,
    decision: Decision<'l>,
    findings: Findings,
    archive: Option<Finding>,
}

impl Report<'_> {
    fn fault(&self) -> Option<What> {
        self.findings.bear_out(self.decision.outcome).err()
    }

    fn json(&self) -> Value {
        let findings = &self.findings;
        let refuted = matches!(self.archive, Some(Finding::Refuted(_) | Finding::Absent));
        json!({
            "proven": self.fault().is_none() && !refuted,
            "line": self.line,
            "received": clock::text(self.decision.received),
            "decided": clock::text(self.decision.decided),
            "verdict": code(self.decision.outcome),
            "signature": word(findings.signature),
            "manifest": word(findings.manifest),
            "visa": word(findings.visa),
            "visa_key": word(findings.visa_key),
            "resource": word(findings.bound),
            "archive": self.archive.map(word),
            "fault": self.fault().map(What::name),
        })
    }

    fn print(&self) -> Result<(), Failure> {
        let at = format!("line {}", self.line);
        match self.fault() {
            None => print::line(&format!("{GOOD}BORNE OUT{GOOD:#}: {at}, as far as its documents are here"))?,
            Some(what) => {
                print::line(&format!("{ERROR}NOT BORNE OUT{ERROR:#}: {at}: {}: {}", what.name(), what.help()))?
            }
        }
        let target = [self.decision.scheme, self.decision.authority, self.decision.target].map(text);
        let [scheme, authority, path] = target;
        print::row(
            "request",
            &format!("{scheme}://{authority}{path}, received {}", clock::text(self.decision.received)),
        )?;
        print::row("verdict", code(self.decision.outcome))?;
        for (name, finding, meaning) in self.meanings() {
            print::row(name, &sentence(finding, meaning))?;
        }
        if let Some(archive) = self.archive {
            print::row(
                "archive",
                &sentence(archive, "the copy lists this key as good then; its archive vouches for the copy"),
            )?;
        }
        print::line(&format!(
            "  {HINT}not proven{HINT:#}     when it happened and that the log is whole: verify the log for its checkpoints"
        ))
    }

    /// Each question, and what its proof means.
    fn meanings(&self) -> [(&'static str, Finding, &'static str); 5] {
        let findings = &self.findings;
        [
            ("signature", findings.signature, "the owner of the recorded key signed this payload"),
            ("manifest", findings.manifest, "the agent's host served this key, by the word of whoever wrote this log"),
            ("visa", findings.visa, "the owner of the recorded key signed this token"),
            ("visa key", findings.visa_key, "the recorded key set lists that key"),
            ("resource", findings.bound, "what was signed is what was requested"),
        ]
    }
}

fn code(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Admitted { .. } => "OK",
        Outcome::Refused(error) => error.name(),
    }
}

fn text(target: Target<'_>) -> String {
    match target {
        Target::Text(text) => shown(text),
        Target::Hash(_) => "(recorded by its SHA-256)".to_owned(),
    }
}

fn word(finding: Finding) -> Value {
    match finding {
        Finding::Absent => "absent".into(),
        Finding::Proven => "proven".into(),
        Finding::Unknown => "unknown".into(),
        Finding::Refuted(error) => json!({"refuted": error.name()}),
    }
}

fn sentence(finding: Finding, meaning: &str) -> String {
    match finding {
        Finding::Absent => "nothing is recorded of it".to_owned(),
        Finding::Proven => format!("proven: {meaning}"),
        Finding::Unknown => "unknown: its document is not here".to_owned(),
        Finding::Refuted(error) => format!("refuted: {}: {}", error.name(), Error::help(error)),
    }
}
