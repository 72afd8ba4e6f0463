//! The story: what happened to one request, told line by line (protocol.md section 8).
//!
//! A story is made from a verdict and from the times at which the host called; there is no clock here. Each event is a
//! code and a few fields: [`Story::line`] tells it to people, [`Story::json`] to machines. Only values that passed their
//! grammar are shown; anything else appears as its SHA-256, so that nobody writes into a log but its owner.

mod event;
mod publisher;

use crate::codec::writer::{Writer, write_whole};
use crate::feedback::{Judgement, Outcome};
use crate::key::PublicKey;
use crate::policy::Micros;
use crate::time::UnixMillis;
use crate::{Claims, Error};

pub use event::{Code, Event, Field, Module, Value};
pub use publisher::{Fetch, Missing, Visited};

/// What an agent knows of one request.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// What it said.
    pub claims: &'a Claims<'a>,
    /// The key that signed.
    pub key: &'a PublicKey,
    /// When it was signed.
    pub signed: UnixMillis,
    /// When it was sent; none if it was not.
    pub sent: Option<UnixMillis>,
    /// When the answer came, its status, and the `error` of its body (empty if there is none).
    pub answer: Option<(UnixMillis, u16, &'a [u8])>,
}

/// What a broker knows of one sale.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// Who buys.
    pub agent_id: &'a str,
    /// For which publisher.
    pub audience: &'a str,
    /// What it costs.
    pub amount: Micros,
    /// When it was asked for.
    pub asked: UnixMillis,
    /// When it was answered.
    pub answered: UnixMillis,
    /// The visa's `jti` (empty if it has none), or why there is no visa.
    pub outcome: Result<&'a str, Error>,
}

/// The events of one request, in their order.
#[derive(Clone, Debug, Default)]
pub struct Story<'a> {
    events: heapless::Vec<Event<'a>, 16>,
}

impl<'a> Story<'a> {
    /// The agent's side: signed, sent, answered.
    #[must_use]
    pub fn agent(sent: &Sent<'a>) -> Self {
        let mut story = Self::default();
        let purpose = ("purpose", Value::Word(sent.claims.purpose.name()));
        story.tell(sent.signed, Code::Signing, &[("agent_id", Value::AgentId(sent.claims.agent_id)), purpose]);
        let resource = ("resource", Value::Url(sent.claims.resource));
        story.tell(sent.signed, Code::Signed, &[resource, ("key", Value::Key(sent.key))]);
        if let Some(at) = sent.sent {
            story.tell(at, Code::Sent, &[]);
        }
        match sent.answer {
            Some((at, status, [])) => story.tell(at, Code::Admitted, &[("status", Value::Number(status.into()))]),
            Some((at, status, code)) => {
                story.tell(
                    at,
                    Code::Answered,
                    &[("status", Value::Number(status.into())), ("code", Value::Code(code))],
                );
            }
            None => {}
        }
        story
    }

    /// The broker's side: a visa sold, or not.
    #[must_use]
    pub fn broker(sale: &Sale<'a>) -> Self {
        let mut story = Self::default();
        let buyer = ("agent_id", Value::AgentId(sale.agent_id));
        let (audience, amount) = (("audience", Value::Url(sale.audience)), ("amount", Value::Money(sale.amount)));
        story.tell(sale.asked, Code::VisaAsked, &[buyer, audience, amount]);
        match sale.outcome {
            Ok(jti) => story.tell(sale.answered, Code::VisaIssued, &[("jti", Value::Url(jti))]),
            Err(error) => story.tell(sale.answered, Code::VisaRefused, &[("code", Value::Word(error.name()))]),
        }
        story
    }

    /// Feedback, on either side that receives it, and what it does to the payment.
    #[must_use]
    pub fn feedback(agent_id: &'a str, judgement: Result<&Judgement<'a>, Error>, at: UnixMillis) -> Self {
        let mut story = Self::default();
        let agent_id = ("agent_id", Value::AgentId(agent_id));
        let judgement = match judgement {
            Ok(judgement) => judgement,
            Err(error) => {
                story.tell(at, Code::FeedbackRefused, &[agent_id, ("code", Value::Word(error.name()))]);
                return story;
            }
        };
        let reason = judgement.reasons().next().map_or("no reason", crate::feedback::Reason::name);
        let (url, score) = (("url", Value::Url(judgement.url)), ("score", Value::Money(judgement.score.into())));
        story.tell(at, Code::FeedbackReceived, &[agent_id, url, ("reason", Value::Word(reason)), score]);
        let outcome = match judgement.outcome {
            Outcome::Release => "RELEASED",
            Outcome::Withhold => "WITHHELD",
            Outcome::Unchanged => "UNCHANGED",
        };
        story.tell(at, Code::Settled, &[("outcome", Value::Word(outcome))]);
        story
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Event<'a>] {
        &self.events
    }

    /// How many lines it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing happened; never, for the stories made here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Writes line `index`, `HH:MM:SS.mmm | MODULE | text`, without a newline. 2,800 bytes suffice for every one.
    ///
    /// # Errors
    /// `ABI_ARGUMENT`: there is no such line. `BUFFER_TOO_SMALL`: nothing is written.
    pub fn line<'o>(&self, index: usize, out: &'o mut [u8]) -> Result<&'o str, Error> {
        let event = self.events.get(index).ok_or(Error::AbiArgument)?;
        write_whole(out, |writer| {
            event.write_line(writer);
            Ok(())
        })
    }

    /// Writes event `index` as a JSON object on one line, without a newline: `at`, `module`, `event`, and its fields.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn json<'o>(&self, index: usize, out: &'o mut [u8]) -> Result<&'o str, Error> {
        let event = self.events.get(index).ok_or(Error::AbiArgument)?;
        write_whole(out, |writer| {
            event.write_json(writer);
            Ok(())
        })
    }

    /// Writes the whole story, each line with its newline: as [`Self::line`], or as [`Self::json`].
    pub fn write(&self, json: bool, writer: &mut Writer<'_>) {
        for event in &self.events {
            if json {
                event.write_json(writer);
            } else {
                event.write_line(writer);
            }
            writer.text("\n");
        }
    }

    fn tell(&mut self, at: UnixMillis, code: Code, fields: &[Field<'a>]) {
        // The longest story has 13 events, and no event more than four fields.
        let _ = self.events.push(Event { at, code, fields: fields.iter().copied().collect() });
    }
}

fn code(error: Error) -> Field<'static> {
    ("code", Value::Word(error.name()))
}
