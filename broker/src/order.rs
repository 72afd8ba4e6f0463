//! What is asked for in bodies: strict JSON, exact money.

use imagxp::codec::decimal;
use imagxp::codec::json::{Document, Kind, Limits, Node, Value};
use imagxp::host::{self, Mode};
use imagxp::policy::Micros;

use crate::answer::Refusal;

/// The body of `POST /issue-visa`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The publisher's bare name.
    pub(crate) publisher: String,
    pub(crate) amount: Micros,
}

/// `{"publisher":"nytimes.com","amount":0.001}`
pub(crate) fn order(body: &[u8], development: bool) -> Result<Order, Refusal> {
    let [publisher, amount] = members(body, ["publisher", "amount"], [Kind::String, Kind::Number])?;
    let publisher = name(&publisher, development).ok_or(Refusal::PublisherInvalid)?;
    let amount = micros(&amount).ok_or(Refusal::AmountInvalid)?;
    Ok(Order { publisher, amount })
}

/// `{"agent":"bot.example.com","amount":10}`, or `publisher` for `agent`: whose account, and how much.
pub(crate) fn payment(body: &[u8], whose: &str, development: bool) -> Result<(String, Micros), Refusal> {
    let [party, amount] = members(body, [whose, "amount"], [Kind::String, Kind::Number])?;
    let party = name(&party, development).ok_or(Refusal::NameInvalid)?;
    Ok((party, micros(&amount).ok_or(Refusal::AmountInvalid)?))
}

/// Exactly these members, by the rules of threats.md 4.2; as they are written, without quotes.
fn members<const N: usize>(body: &[u8], names: [&str; N], kinds: [Kind; N]) -> Result<[String; N], Refusal> {
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(body, &Limits::PAYLOAD, &mut nodes).map_err(|_| Refusal::BodyInvalid)?;
    let root = document.root();
    if root.kind() != Kind::Object || root.count() != N {
        return Err(Refusal::BodyInvalid);
    }
    let mut values = [const { String::new() }; N];
    for ((value, name), kind) in values.iter_mut().zip(names).zip(kinds) {
        let member = root.get(name).filter(|member| member.kind() == kind).ok_or(Refusal::BodyInvalid)?;
        *value = plain(&member).ok_or(Refusal::BodyInvalid)?;
    }
    Ok(values)
}

fn plain(value: &Value<'_, '_>) -> Option<String> {
    let text = value.as_number().map(str::to_owned);
    text.or_else(|| value.as_text()?.plain().map(str::to_owned))
}

/// A domain name. `nytimes.com` and `https://nytimes.com` are the same.
fn name(text: &str, development: bool) -> Option<String> {
    let name = text.strip_prefix("https://").unwrap_or(text);
    let mode = if development { Mode::Development } else { Mode::Production };
    host::check_agent_id(name, mode).ok().map(|()| name.to_owned())
}

/// Above 0, at most six places, exactly.
fn micros(text: &str) -> Option<Micros> {
    decimal::scaled(text, 6).filter(|(amount, exact)| *exact && *amount > 0).map(|(amount, _)| amount)
}

/// An amount of the configuration.
pub(crate) fn amount(text: &str) -> Result<Micros, String> {
    micros(text).ok_or_else(|| format!("`{text}` is no amount: write it as 0.001, above 0, at most six places"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        let good = |body: &str| order(body.as_bytes(), false).unwrap();
        let plain = good(r#"{"publisher":"nytimes.com","amount":0.001}"#);
        assert_eq!(plain, Order { publisher: "nytimes.com".into(), amount: 1_000 });
        assert_eq!(good(r#"{"amount":1e-3,"publisher":"https://nytimes.com"}"#), plain);
        for (body, refusal) in [
            ("", Refusal::BodyInvalid),
            ("{}", Refusal::BodyInvalid),
            (r#"["nytimes.com",1]"#, Refusal::BodyInvalid),
            (r#"{"publisher":"nytimes.com"}"#, Refusal::BodyInvalid),
            (r#"{"publisher":"nytimes.com","amount":"0.001"}"#, Refusal::BodyInvalid),
            (r#"{"publisher":"nytimes.com","amount":1,"extra":1}"#, Refusal::BodyInvalid),
            (r#"{"publisher":"nytimes.com","amount":1,"amount":2}"#, Refusal::BodyInvalid),
            (r#"{"publisher":"nytimes.com","amount":0}"#, Refusal::AmountInvalid),
            (r#"{"publisher":"nytimes.com","amount":-1}"#, Refusal::AmountInvalid),
            (r#"{"publisher":"nytimes.com","amount":0.0000001}"#, Refusal::AmountInvalid),
            (r#"{"publisher":"nytimes.com","amount":1e300}"#, Refusal::AmountInvalid),
            (r#"{"publisher":"http://nytimes.com","amount":1}"#, Refusal::PublisherInvalid),
            (r#"{"publisher":"127.0.0.1","amount":1}"#, Refusal::PublisherInvalid),
            (r#"{"publisher":"localhost:1","amount":1}"#, Refusal::PublisherInvalid),
        ] {
            assert_eq!(order(body.as_bytes(), false), Err(refusal), "{body}");
        }
    }
}
