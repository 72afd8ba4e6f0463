//! The evidence log that a publisher of the demo keeps, and its verification offline.

use std::path::PathBuf;

use http::HeaderMap;
use imagxp::evidence::{
    Decided, Fetched as Recorded, Head, find_key, write_checkpoint, write_decision, write_document,
};
use imagxp::jose::jws::Token;
use imagxp::key::{Digest, sha256};
use imagxp::{Error, KeyPair, Kind, PublicKey, Signing, Visit, spec};
use imagxp_host::{Decision, Fetched, system};

use crate::commands::evidence::{Audit, Fault};
use crate::failure::Failure;

/// A file that grows by whole lines.
pub(super) struct EvidenceLog {
    path: PathBuf,
    head: Head,
    /// What later decisions rest on: the latest document of each URL, and the key sets whole.
    documents: Vec<(String, Digest)>,
    key_sets: Vec<Vec<u8>>,
    key: KeyPair,
}

/// What verification found.
pub(super) struct Proof {
    pub(super) lines: u64,
    pub(super) documents: u64,
    pub(super) decisions: u64,
    pub(super) checkpoints: u64,
    pub(super) faults: Vec<Fault>,
}

impl EvidenceLog {
    pub(super) fn new(path: PathBuf, key: KeyPair) -> Self {
        Self { path, head: Head::EMPTY, documents: Vec::new(), key_sets: Vec::new(), key }
    }

    /// Appends the documents that were fetched for a decision, and the decision. What proves nothing is left out.
    pub(super) fn record(
        &mut self,
        visit: &Visit<'_>,
        headers: &HeaderMap,
        decision: &Decision<'_>,
    ) -> Result<(), Failure> {
        for document in &decision.documents {
            let Fetched::Found { body, .. } = &*document.fetched else { continue };
            let url = &document.wanted.url;
            let recorded = Recorded { url, body, at: document.answered };
            self.append(|head, out| write_document(&recorded, head, out).map(str::len))?;
            self.documents.retain(|(known, _)| known != url);
            self.documents.push((url.clone(), sha256(body)));
            if document.wanted.kind == Kind::Jwks {
                self.key_sets.push(body.to_vec());
            }
        }
        let documents: Vec<_> = self.documents.iter().map(|(_, digest)| *digest).collect();
        let verdict = decision.outcome.as_ref().map_err(|refused| refused.error);
        let visa_key = verdict.ok().and_then(|_| self.visa_key(headers));
        let decided = Decided {
            visit,
            received: decision.received,
            decided: decision.decided,
            documents: &documents,
            visa_key: visa_key.as_ref(),
            verdict,
        };
        self.append(|head, out| write_decision(&decided, head, out).map(str::len))
    }

    /// Signs what there is.
    pub(super) fn seal(&mut self) -> Result<(), Failure> {
        let mut out = vec![0; spec::evidence::LINE_MAX];
        let line = write_checkpoint(&self.key, &self.head, system::now(), Signing::default(), &mut out);
        let line = line.map_err(Failure::of)?.to_owned();
        self.write(&line)
    }

    fn append(&mut self, write: impl Fn(&Head, &mut [u8]) -> Result<usize, Error>) -> Result<(), Failure> {
        let mut out = vec![0; spec::evidence::LINE_MAX];
        let len = write(&self.head, &mut out).map_err(Failure::of)?;
        let line = out.get(..len).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
        self.write(line)
    }

    fn write(&mut self, line: &str) -> Result<(), Failure> {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|error| Failure::failed(format!("{}: {error}", self.path.display()), "see TMPDIR"))?;
        self.head = self.head.after(line);
        Ok(())
    }

    /// The key that verified the visa, by the key sets at hand.
    fn visa_key(&self, headers: &HeaderMap) -> Option<PublicKey> {
        let text = headers.get(spec::header::CREDENTIAL)?.as_bytes();
        let token = Token::parse(text).ok()?;
        let mut keys = self.key_sets.iter().filter_map(|set| find_key(set, text));
        keys.find(|key| key.verify(&token.digest(), token.signature()).is_ok())
    }

    /// The file as it is.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        std::fs::read(&self.path).map_err(|error| Failure::failed(format!("{}: {error}", self.path.display()), ""))
    }

    /// Where it is.
    pub(super) fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Whose signature seals it.
    pub(super) fn publisher(&self) -> &PublicKey {
        self.key.public()
    }
}

impl Drop for EvidenceLog {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Verifies a whole log, as `imagxp evidence verify` does, with nothing but its bytes and the publisher's key.
pub(super) fn verify(log: &[u8], publisher: &PublicKey) -> Result<Proof, Failure> {
    let keys = [*publisher];
    let mut memory = vec![0; Audit::WORDS];
    let mut audit = Audit::new(&keys, &mut memory, None);
    let mut lines: Vec<_> = log.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    for line in lines {
        audit.line(line).map_err(Failure::of)?;
    }
    let (found, summary) = audit.finish(rest);
    Ok(Proof {
        lines: summary.head.count,
        documents: found.documents,
        decisions: found.decisions,
        checkpoints: found.checkpoints,
        faults: found.faults,
    })
}

/// The log with one character changed: a digit of a recorded signature.
pub(super) fn changed(log: &[u8]) -> Option<Vec<u8>> {
    let mut changed = log.to_vec();
    let name = b"\"x-imagxp-signature\":\"";
    let at = log.windows(name.len()).position(|window| window == name)? + name.len() + 64;
    let byte = changed.get_mut(at)?;
    *byte = if *byte == b'0' { b'1' } else { b'0' };
    Some(changed)
}
