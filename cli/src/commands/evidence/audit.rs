//! A whole log, verified as it streams by: the chain at once, signatures in batches, with tables for keys that come again.

use imagxp::UnixMillis;
use imagxp::evidence::{Check, Finding, Findings, Head, Log, Outcome, Record, Summary, Tables, What, verify_checks};
use imagxp::{Error, PublicKey, spec};

use super::documents::Documents;

/// One thing that is wrong, and where.
pub(in crate::commands) struct Fault {
    pub(in crate::commands) line: u64,
    pub(in crate::commands) name: &'static str,
    pub(in crate::commands) help: String,
}

/// The verification of one log.
pub(in crate::commands) struct Audit<'k> {
    log: Log<'k>,
    documents: Documents,
    /// Lines whose signatures are still to be checked.
    pending: Vec<Pending>,
    checks: Vec<Check>,
    tables: Tables<'k>,
    scratch: Vec<u8>,
    anchor: Option<Head>,
    pub(in crate::commands) found: Found,
}

/// What was found so far.
#[derive(Default)]
pub(in crate::commands) struct Found {
    pub(in crate::commands) faults: Vec<Fault>,
    pub(in crate::commands) documents: u64,
    pub(in crate::commands) decisions: u64,
    pub(in crate::commands) checkpoints: u64,
    /// Decisions that rest on documents which the log does not hold.
    pub(in crate::commands) unknown: u64,
    /// Line, time and key of the last good checkpoint.
    pub(in crate::commands) sealed: Option<(u64, UnixMillis, String)>,
}

struct Pending {
    line: u64,
    checks: usize,
    of: Of,
}

enum Of {
    Checkpoint(UnixMillis, String),
    Decision(Outcome, Findings),
}

impl<'k> Audit<'k> {
    /// Words of memory for prepared keys.
    pub(in crate::commands) const WORDS: usize = Tables::words(64);

    /// By these keys of the publisher, with [`Self::WORDS`] of memory; `anchor` is a head that was kept elsewhere.
    pub(in crate::commands) fn new(keys: &'k [PublicKey], memory: &'k mut [u64], anchor: Option<Head>) -> Self {
        Self {
            log: Log::new(keys),
            documents: Documents::default(),
            pending: Vec::new(),
            checks: Vec::new(),
            tables: Tables::new(memory),
            scratch: vec![0; spec::document::JWKS_MAX],
            anchor,
            found: Found::default(),
        }
    }

    /// Takes the next line.
    pub(in crate::commands) fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        let taken = self.log.line_unchecked(line);
        self.check_anchor();
        match taken {
            Err(fault) => self.blame(fault.line, fault.what),
            Ok((Record::Document(document), _)) => {
                self.found.documents += 1;
                self.documents.add(&document);
            }
            Ok((Record::Checkpoint(checkpoint), checks)) => {
                self.found.checkpoints += 1;
                self.expect(&checks, Of::Checkpoint(checkpoint.at, checkpoint.kid.to_owned()));
            }
            Ok((Record::Decision(decision), _)) => {
                self.found.decisions += 1;
                let documents = self.documents.of(&decision.documents);
                let findings = decision.prove_unchecked(&documents, &mut self.scratch)?;
                let checks = decision.checks(self.log.head().count);
                self.expect(&checks, Of::Decision(decision.outcome, findings));
            }
        }
        Ok(())
    }

    /// The end of the log; `rest` stands behind the last newline.
    pub(in crate::commands) fn finish(mut self, rest: &[u8]) -> (Found, Summary) {
        self.settle();
        let head = self.log.head();
        // A record whose newline was changed, not one that was torn.
        if rest.split_last().is_some_and(|(_, record)| Record::parse(record).is_ok()) {
            self.blame(head.count + 1, What::NotARecord);
        }
        if let Some(anchor) = self.anchor.filter(|anchor| anchor.count > head.count) {
            let help = format!("the log ends here, and the head to be found is that of line {}", anchor.count);
            self.found.faults.push(Fault { line: head.count, name: "END", help });
        }
        self.found.faults.sort_by_key(|fault| fault.line);
        let summary = self.log.finish(rest);
        (self.found, summary)
    }

    fn check_anchor(&mut self) {
        let head = self.log.head();
        if self.anchor.is_some_and(|anchor| anchor.count == head.count && anchor.hash != head.hash) {
            let help = "this line is not the one whose head was kept".to_owned();
            self.found.faults.push(Fault { line: head.count, name: "HEAD", help });
        }
    }

    fn expect(&mut self, checks: &[Check], of: Of) {
        self.checks.extend_from_slice(checks);
        self.pending.push(Pending { line: self.log.head().count, checks: checks.len(), of });
        if self.checks.len() >= spec::evidence::BATCH {
            self.settle();
        }
    }

    /// Makes the checks that are due, and judges the lines that wait for them.
    fn settle(&mut self) {
        let mut good = vec![false; self.checks.len()];
        verify_checks(&self.checks, &mut self.tables, &mut good);
        let mut good = good.into_iter();
        for pending in std::mem::take(&mut self.pending) {
            let good: Vec<bool> = good.by_ref().take(pending.checks).collect();
            self.judge(pending, good.into_iter());
        }
        self.checks.clear();
    }

    fn judge(&mut self, pending: Pending, mut good: impl Iterator<Item = bool>) {
        match pending.of {
            Of::Checkpoint(at, kid) => match self.log.seal(pending.line, good.next() == Some(true)) {
                Ok(()) => self.found.sealed = Some((pending.line, at, kid)),
                Err(fault) => self.blame(fault.line, fault.what),
            },
            Of::Decision(outcome, findings) => {
                // In the order of `Decision::checks`: the request's signature, then the token's.
                let mut checked = |finding| match finding {
                    Finding::Unknown if good.next() == Some(true) => Finding::Proven,
                    Finding::Unknown => Finding::Refuted(Error::SignatureInvalid),
                    finding => finding,
                };
                let signature = checked(findings.signature);
                let findings = Findings { signature, visa: checked(findings.visa), ..findings };
                self.found.unknown += u64::from([findings.manifest, findings.visa_key].contains(&Finding::Unknown));
                if let Err(what) = findings.bear_out(outcome) {
                    self.blame(pending.line, what);
                }
            }
        }
    }

    fn blame(&mut self, line: u64, what: What) {
        let help = match what {
            What::Count { stated, found } => format!("{}: it states {stated}, there are {found}", what.help()),
            what => what.help().to_owned(),
        };
        self.found.faults.push(Fault { line, name: what.name(), help });
    }
}
