//! The story of each sale, refusal and word of feedback (docs/protocol.md section 8), in the log: an entry for each event,
//! its values as fields. Only what passed its grammar is shown, the rest as its SHA-256: the library sees to that.

use imagxp::feedback::Judgement;
use imagxp::story::{self, Event, Story};
use imagxp::{Error, UnixMillis, money};
use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::ledger::State;
use crate::order::Order;

/// What the broker knows beside the story's own fields.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The broker's own code, where it refuses.
    pub(crate) refusal: Option<&'static str>,
    /// Which visa, where its name is in the books.
    pub(crate) visa: Option<&'a str>,
    /// Where its payment is now.
    pub(crate) state: Option<&'static str>,
}

/// A visa was sold, or why not.
pub(crate) fn sale(agent_id: &str, order: &Order, asked: UnixMillis, outcome: Result<&str, &Refusal>) {
    let about = About { refusal: outcome.err().map(|refusal| refusal.code()), ..About::default() };
    let outcome = outcome.map_err(|refusal| error(*refusal));
    let (audience, answered) = (&*order.publisher, imagxp_host::system::now());
    tell(&Story::broker(&story::Sale { agent_id, audience, amount: order.amount, asked, answered, outcome }), &about);
}

/// What a verified agent asked for cannot be read, or it asks too often.
pub(crate) fn refused(agent_id: &str, refusal: Refusal) {
    tracing::info!(agent_id, refusal = refusal.code(), "refused");
}

/// Feedback that is none.
pub(crate) fn unreadable_feedback(agent_id: &str, at: UnixMillis) {
    tell(&Story::feedback(agent_id, Err(Error::FeedbackInvalid), at), &About::default());
}

/// Feedback, and what it did to the payment.
pub(crate) fn feedback(agent_id: &str, judgement: &Judgement<'_>, at: UnixMillis, settled: Result<State, &Refusal>) {
    let story = Story::feedback(agent_id, Ok(judgement), at);
    match settled {
        Ok(state) => tell(&story, &About { visa: judgement.visa, state: Some(state.name()), refusal: None }),
        Err(refusal) => {
            // What was said, but not what it would have done.
            tell_first(&story, 1, &About::default());
            refused(agent_id, *refusal);
        }
    }
}

/// An entry for each event.
pub(crate) fn tell(story: &Story<'_>, about: &About<'_>) {
    tell_first(story, story.len(), about);
}

fn tell_first(story: &Story<'_>, count: usize, about: &About<'_>) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    for (index, event) in story.events().iter().enumerate().take(count) {
        entry(story, index, event, about);
    }
}

fn entry(story: &Story<'_>, index: usize, event: &Event<'_>, about: &About<'_>) {
    let (mut line, mut json) = ([0; LINE_MAX], [0; LINE_MAX]);
    let line = story.line(index, &mut line).unwrap_or_default();
    // The time and the module stand before it: the log has both.
    let text = line.splitn(3, " | ").last().unwrap_or_default();
    let fields: Map<String, Value> =
        story.json(index, &mut json).ok().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let field = |name: &str| fields.get(name).and_then(Value::as_str);
    let (amount, score) = (decimal(event, "amount"), decimal(event, "score"));
    tracing::info!(
        module = event.code.module().name(),
        event = event.code.name(),
        agent_id = field("agent_id"),
        purpose = field("purpose"),
        audience = field("audience"),
        amount,
        jti = field("jti"),
        url = field("url"),
        reason = field("reason"),
        score,
        outcome = field("outcome"),
        code = field("code"),
        visa = about.visa,
        state = about.state,
        refusal = about.refusal,
        "{text}"
    );
}

/// What suffices for every line of a story; a little more for the same as JSON.
const LINE_MAX: usize = 4_096;

/// Exact, as money is written everywhere.
fn decimal(event: &Event<'_>, name: &str) -> Option<String> {
    event.fields.iter().find_map(|(known, value)| match value {
        story::Value::Money(amount) if *known == name => Some(money::decimal(*amount).as_str().to_owned()),
        _ => None,
    })
}

/// The library's word for a refusal; the broker's own stands beside it.
fn error(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Identity(error) => error,
        Refusal::SaleConflict => Error::ReplayDetected,
        Refusal::AmountInvalid => Error::VisaAmount,
        Refusal::SalePending | Refusal::LedgerUnavailable | Refusal::TimedOut | Refusal::RateLimited => Error::Busy,
        _ => Error::VisaUnpaid,
    }
}
