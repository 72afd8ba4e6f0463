//! The verdict on one request: for people, and as the JSON that README.md documents.

use imagxp::{Bound, Error, Kind, Proof, Purpose, UnixMillis, Visitor};
use serde_json::{Value, json};

use crate::clock;
use crate::explain::Explanation;
use crate::failure::Failure;
use crate::print::{self, ERROR, GOOD, shown};
use crate::verifier::Asked;

/// Everything that was found out.
pub(crate) struct Verdict {
    /// None: admitted.
    pub(crate) error: Option<Error>,
    pub(crate) visitor: Visitor,
    pub(crate) agent_id: Option<String>,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) resource: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) bound: Bound,
    pub(crate) proof: Option<Proof>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) explanation: Option<Explanation>,
    /// Checks that this run could not make, each with its reason.
    pub(crate) not_checked: Vec<(&'static str, &'static str)>,
    pub(crate) now: UnixMillis,
}

impl Verdict {
    fn code(&self) -> &'static str {
        self.error.map_or("OK", Error::name)
    }

    fn status(&self) -> u16 {
        self.error.map_or(200, Error::status)
    }

    /// One JSON object on one line. Members are never taken away or given another meaning; new ones may come.
    pub(crate) fn json(&self) -> Value {
        let explained = |part: fn(&Explanation) -> Option<&str>| self.explanation.as_ref().and_then(part);
        json!({
            "admitted": self.error.is_none(),
            "code": self.code(),
            "status": self.status(),
            "visitor_type": self.visitor.name(),
            "agent_id": self.agent_id,
            "purpose": self.purpose.map(Purpose::name),
            "resource": self.resource,
            "kid": self.kid,
            "bound": self.bound.name(),
            "proof_used": self.proof.map(Proof::name),
            "public_code": self.error.map_or("OK", |error| error.public().name()),
            "check": self.explanation.as_ref().map(|explanation| explanation.check),
            "found": explained(|explanation| explanation.found.as_deref()),
            "expected": explained(|explanation| explanation.expected.as_deref()),
            "help": self.error.map(Error::help),
            "needs": self.asked.iter().map(need).collect::<Vec<_>>(),
            "not_checked": self.not_checked.iter().map(|(check, _)| *check).collect::<Vec<_>>(),
            "now": clock::text(self.now),
        })
    }

    /// For people.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        match self.error {
            None => print::line(&format!("{GOOD}ADMITTED{GOOD:#} as {}", self.visitor.name()))?,
            Some(error) => print::line(&format!("{ERROR}REFUSED{ERROR:#} {} (HTTP {})", error.name(), error.status()))?,
        }
        if let (Some(error), Some(explanation)) = (self.error, &self.explanation) {
            print::row("check", explanation.check)?;
            optional("found", explanation.found.as_deref())?;
            optional("expected", explanation.expected.as_deref())?;
            print::row("help", error.help())?;
            if error.public() != error {
                print::row("client sees", error.public().name())?;
            }
        }
        let proven = if self.error.is_none() { "" } else { " (claimed)" };
        optional("agent", self.agent_id.as_deref().map(|id| format!("{}{proven}", shown(id))).as_deref())?;
        optional("purpose", self.purpose.map(Purpose::name))?;
        optional("resource", self.resource.as_deref().map(shown).as_deref())?;
        optional("kid", self.kid.as_deref())?;
        if self.error.is_none() {
            print::row("bound", self.bound.name())?;
            optional("proof used", self.proof.map(Proof::name))?;
        }
        print_asked(&self.asked)?;
        for (check, why) in &self.not_checked {
            print::row("not checked", &format!("{check}: {why}"))?;
        }
        Ok(())
    }
}

/// A document that was asked for.
pub(crate) fn need(asked: &Asked) -> Value {
    json!({"kind": kind(asked.kind), "url": asked.url, "answer": asked.answer, "reason": asked.reason})
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Manifest => "manifest",
        Kind::Jwks => "jwks",
    }
}

/// The documents that were asked for.
pub(crate) fn print_asked(asked: &[Asked]) -> Result<(), Failure> {
    asked.iter().try_for_each(|asked| {
        let why = asked.reason.as_deref().map_or(String::new(), |why| format!(": {}", shown(why)));
        print::row(kind(asked.kind), &format!("{} ({}{why})", shown(&asked.url), asked.answer))
    })
}

fn optional(name: &str, value: Option<&str>) -> Result<(), Failure> {
    value.map_or(Ok(()), |value| print::row(name, value))
}
