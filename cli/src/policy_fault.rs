//! What is wrong with a policy, and where. The library compiles a policy or refuses it whole; here each of its members
//! is compiled alone, so that the library's own rules find the one that it refuses.

use imagxp::Policy;
use imagxp::codec::json::{Document, Kind, Limits, Node, Value};

use crate::print::shown;

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From 1; characters of the line.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// `monetization.brokerUrl`; empty for the whole.
    pub(crate) member: String,
    /// What it would have to be.
    pub(crate) expected: String,
}

/// What each member takes.
const MEMBERS: [(&str, &str); 25] = [
    ("allowTraining", "true or false"),
    ("allowRAG", "true or false"),
    ("allowAdSupportedAccess", "true or false"),
    ("attributionRequired", "true or false"),
    ("requiresPayment", "true or false"),
    ("requireIdentityBinding", "true or false"),
    ("visa_single_use", "true or false"),
    ("require_fresh", "true or false"),
    ("development", "true or false; development is for this machine only"),
    ("strategy", "PASSIVE, HYBRID or STRICT"),
    ("resource_binding", "exact, authority or off"),
    ("visa_binding", "prefer or require"),
    ("window", "milliseconds, a whole number up to 300000"),
    ("skew", "milliseconds, a whole number up to 300000"),
    ("price", "a decimal with at most six places, such as 0.001"),
    ("audiences", "an array of 1 to 16 names of this publisher, printable ASCII; in development localhost names only"),
    ("paymentPointer", "a string of printable ASCII"),
    ("version", "\"1.0\" or \"1.1\""),
    ("monetization", "an object with brokerUrl, paymentConfig, adNetwork"),
    ("monetization.brokerUrl", "an https URL, or \"\" for none"),
    ("monetization.paymentConfig", "an object with issuer and jwksUrl, both"),
    ("monetization.adNetwork", "an object with issuer and jwksUrl, both"),
    ("jwksUrl", "an https URL"),
    ("issuer", "a string of printable ASCII, not empty"),
    ("", "one JSON object whose texts together have at most 3,800 bytes"),
];

/// Every fault of a policy that the library refuses.
pub(crate) fn find(json: &[u8]) -> Vec<Fault> {
    let mut nodes = [Node::default(); 96];
    let limits = Limits { nodes: nodes.len(), ..Limits::PAYLOAD };
    let document = match Document::parse(json, &limits, &mut nodes) {
        Ok(document) => document,
        Err(error) => return vec![unreadable(json, error)],
    };
    let mut search = Search { text: document.text(), development: "", faults: Vec::new() };
    search.root(&document.root());
    search.faults
}

/// No JSON, or beyond its bounds.
fn unreadable(json: &[u8], error: imagxp::Error) -> Fault {
    let text = String::from_utf8_lossy(json);
    if error == imagxp::Error::JsonDuplicateKey
        && let Some((at, name)) = duplicate(&text)
    {
        return fault(&text, at, name.to_owned(), "once: it is here twice".to_owned());
    }
    let syntax = serde_json::from_slice::<serde_json::Value>(json).err().filter(|error| !error.is_data());
    let (line, column, expected) = match syntax {
        Some(syntax) => (syntax.line(), syntax.column(), format!("JSON: {syntax}")),
        None => (1, 1, error.help().to_owned()),
    };
    Fault { line, column: column.max(1), member: String::new(), expected }
}

struct Search<'t> {
    text: &'t str,
    /// The member that decides which URLs are good, as it was written.
    development: &'t str,
    faults: Vec<Fault>,
}

impl<'t> Search<'t> {
    fn root(&mut self, root: &Value<'t, '_>) {
        if root.kind() != Kind::Object {
            return self.blame(root, "", expected(""));
        }
        self.development = root.get("development").filter(|on| on.as_bool() == Some(true)).map_or("", |on| on.raw());
        for member in root.as_written() {
            self.member(&member);
        }
        if self.faults.is_empty() && !compiles(root.raw()) {
            self.blame(root, "", expected(""));
        }
    }

    fn member(&mut self, member: &Value<'t, '_>) {
        let name = member.name().plain().unwrap_or_default();
        if self.good(name, &written(member)) {
            return;
        }
        match (name, member.kind()) {
            ("audiences", Kind::Array) => self.elements(member),
            ("monetization", Kind::Object) => member.as_written().for_each(|child| self.monetization(&child)),
            _ => self.blame(member, name, sentence(name, name)),
        }
    }

    /// Which of them is wrong; all together if none is.
    fn elements(&mut self, audiences: &Value<'t, '_>) {
        let before = self.faults.len();
        for (index, element) in audiences.as_written().enumerate() {
            if !self.good("audiences", &format!("[{}]", written(&element))) {
                self.blame(
                    &element,
                    &format!("audiences[{index}]"),
                    "a name of this publisher: see `audiences`".to_owned(),
                );
            }
        }
        if self.faults.len() == before {
            self.blame(audiences, "audiences", expected("audiences"));
        }
    }

    fn monetization(&mut self, child: &Value<'t, '_>) {
        let name = child.name().plain().unwrap_or_default();
        if self.good("monetization", &format!("{{{}:{}}}", quoted(name), written(child))) {
            return;
        }
        let path = format!("monetization.{name}");
        match (name, child.kind()) {
            ("paymentConfig" | "adNetwork", Kind::Object) => self.issuer(child, &path),
            _ => self.blame(child, &path, sentence(&path, name)),
        }
    }

    /// `{"issuer","jwksUrl"}`: each is judged beside a good other.
    fn issuer(&mut self, config: &Value<'t, '_>, path: &str) {
        for name in ["issuer", "jwksUrl"].into_iter().filter(|name| config.get(name).is_none()) {
            self.blame(config, &format!("{path}.{name}"), format!("{}; it is missing", expected(name)));
        }
        for child in config.as_written() {
            let name = child.name().plain().unwrap_or_default();
            let other = if name == "issuer" { r#""jwksUrl":"https://a.example/k""# } else { r#""issuer":"a""# };
            let config = format!("{{\"paymentConfig\":{{{other},{}:{}}}}}", quoted(name), written(&child));
            if !self.good("monetization", &config) {
                self.blame(&child, &format!("{path}.{name}"), sentence(name, name));
            }
        }
    }

    /// Whether the library compiles a policy of this one member.
    fn good(&self, name: &str, value: &str) -> bool {
        let member = format!("{}:{value}", quoted(name));
        match self.development {
            "" => compiles(&format!("{{{member}}}")),
            _ if name == "development" => compiles(&format!("{{{member}}}")),
            _ => compiles(&format!("{{\"development\":true,{member}}}")),
        }
    }

    fn blame(&mut self, value: &Value<'t, '_>, member: &str, expected: String) {
        let quote = usize::from(value.kind() == Kind::String);
        let at = value.raw().as_ptr().addr().saturating_sub(self.text.as_ptr().addr() + quote);
        self.faults.push(fault(self.text, at, shown(member), expected));
    }
}

fn compiles(json: &str) -> bool {
    Policy::parse(json.as_bytes(), &mut vec![0; Policy::WORDS]).is_ok()
}

/// The value as it was written; of a string the library gives what is between the quotes.
fn written(value: &Value<'_, '_>) -> String {
    if value.kind() == Kind::String { format!("\"{}\"", value.raw()) } else { value.raw().to_owned() }
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

fn fault(text: &str, at: usize, member: String, expected: String) -> Fault {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Fault { line, column, member, expected }
}

fn expected(member: &str) -> String {
    MEMBERS.iter().find(|(name, _)| *name == member).map_or(String::new(), |(_, what)| (*what).to_owned())
}

/// What it takes; of an unknown name, which was meant.
fn sentence(path: &str, name: &str) -> String {
    let known = expected(path);
    if !known.is_empty() && !name.is_empty() {
        return known;
    }
    let names =
        MEMBERS.iter().map(|(path, _)| path.rsplit('.').next().unwrap_or(path)).filter(|known| !known.is_empty());
    let nearest = names.map(|known| (distance(known, name), known)).min().filter(|(distance, _)| *distance <= 3);
    let meant = nearest.map_or(String::new(), |(_, known)| format!(": did you mean {known}?"));
    format!("no such member{meant}")
}

/// How many letters differ (Levenshtein), case aside.
fn distance(one: &str, other: &str) -> usize {
    let other = other.to_ascii_lowercase();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.to_ascii_lowercase().bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// The second place of a name that is twice in one object, in JSON that is otherwise good.
fn duplicate(text: &str) -> Option<(usize, &str)> {
    let mut open: Vec<Vec<&str>> = Vec::new();
    let (mut at, bytes) = (0, text.as_bytes());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => open.push(Vec::new()),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let end = at + 1 + string_len(bytes.get(at + 1..)?);
                let name = text.get(at + 1..end)?;
                if text.get(end + 1..)?.trim_start().starts_with(':') {
                    let names = open.last_mut()?;
                    if names.contains(&name) {
                        return Some((at, name));
                    }
                    names.push(name);
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Bytes before the closing quote.
fn string_len(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let is_end = |byte: &u8| {
        let end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        end
    };
    bytes.iter().position(is_end).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Vec<String> {
        find(json.as_bytes()).into_iter().map(|fault| fault.member).collect()
    }

    #[test]
    fn the_member_is_named() {
        for (json, member) in [
            (r#"{"allowTraning":true}"#, "allowTraning"),
            (r#"{"allowRAG":1}"#, "allowRAG"),
            (r#"{"price":0.0000001}"#, "price"),
            (r#"{"audiences":["a",""]}"#, "audiences[1]"),
            (r#"{"audiences":[]}"#, "audiences"),
            (r#"{"monetization":{"brokerUrl":"http://a.example"}}"#, "monetization.brokerUrl"),
            (r#"{"monetization":{"paymentConfig":{"issuer":"a"}}}"#, "monetization.paymentConfig.jwksUrl"),
            (
                r#"{"monetization":{"adNetwork":{"issuer":"","jwksUrl":"https://a.example/k"}}}"#,
                "monetization.adNetwork.issuer",
            ),
            (r#"{"monetization":{"adNetwork":{"issuer":"a","jwksUrl":"x"}}}"#, "monetization.adNetwork.jwksUrl"),
            (r#"{"monetization":{"brokerURL":"https://a.example/k"}}"#, "monetization.brokerURL"),
            (r#"{"development":true,"audiences":["nytimes.com"]}"#, "audiences[0]"),
            (r#"{"allowRAG":true,"allowRAG":true}"#, "allowRAG"),
            ("[]", ""),
            ("{", ""),
        ] {
            assert_eq!(members(json), [member], "{json}");
        }
        assert_eq!(members(r#"{"window":-1,"allowRAG":true,"skew":"x"}"#), ["window", "skew"]);
        assert_eq!(members(&format!(r#"{{"paymentPointer":"{}","audiences":["{0}"]}}"#, "a".repeat(2_000))), [""]);
    }

    #[test]
    fn the_place_is_named() {
        let [fault] = &find(b"{\n  \"allowRAG\": true,\n  \"strategy\": \"OPEN\"\n}")[..] else { panic!() };
        assert_eq!((fault.line, fault.column), (3, 15));
        assert_eq!(fault.expected, "PASSIVE, HYBRID or STRICT");
        let [fault] = &find(b"{\n  \"allowRag\": true\n}")[..] else { panic!() };
        assert_eq!(fault.expected, "no such member: did you mean allowRAG?");
    }

    /// Every name in the table is the library's.
    #[test]
    fn names_are_known() {
        let url = r#""https://a.example/k""#;
        for (name, _) in MEMBERS.iter().filter(|(name, _)| !name.is_empty()) {
            let value = match *name {
                "strategy" => "\"STRICT\"",
                "resource_binding" => "\"off\"",
                "visa_binding" => "\"require\"",
                "window" | "skew" | "price" => "1",
                "audiences" => "[\"localhost\"]",
                "paymentPointer" => "\"a\"",
                "version" => "\"1.1\"",
                "monetization" => "{}",
                name if name.contains('.') || name == "jwksUrl" || name == "issuer" => continue,
                _ => "true",
            };
            assert!(compiles(&format!("{{\"{name}\":{value}}}")), "{name}");
        }
        let config = format!("{{\"issuer\":\"a\",\"jwksUrl\":{url}}}");
        assert!(compiles(&format!(
            "{{\"monetization\":{{\"brokerUrl\":{url},\"paymentConfig\":{config},\"adNetwork\":{config}}}}}"
        )));
    }
}
