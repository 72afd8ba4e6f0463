//! A request's headers as people have them: lines, curl's `-v` output, or the JSON of `imagxp sign --json`.

use imagxp::{Headers, spec};

use crate::failure::Failure;
use crate::print;

/// Names and values, in their order, duplicates kept.
pub(crate) struct RequestFile {
    headers: Vec<(String, String)>,
}

const PREFIX: &str = "x-imagxp-";

impl RequestFile {
    /// Reads them.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Failure> {
        let fix = "one header a line, `name: value`, or the JSON of `imagxp sign --json`";
        let text = std::str::from_utf8(text).map_err(|_| Failure::usage("the headers are not UTF-8", fix))?;
        let headers = if text.trim_start().starts_with('{') { from_json(text) } else { from_lines(text) };
        let headers = headers.map_err(|what| Failure::usage(what, fix))?;
        if headers.is_empty() {
            return Err(Failure::usage("there is no header in the input", "did `imagxp sign` before the pipe fail?"));
        }
        Ok(Self { headers })
    }

    /// For the library, every line on its own.
    pub(crate) fn headers(&self) -> Result<Headers<'_>, imagxp::Error> {
        let mut headers = Headers::new();
        self.headers.iter().try_for_each(|(name, value)| headers.add(name.as_bytes(), value.as_bytes()))?;
        Ok(headers)
    }

    /// The first value of a name, or of its alias.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        let named = |header: &&(String, String)| names.iter().any(|name| header.0.eq_ignore_ascii_case(name));
        self.headers.iter().filter(named).map(|(_, value)| value.as_str()).find(|value| !value.is_empty())
    }

    /// Bytes of the IMAGXP headers, names and values.
    pub(crate) fn imagxp_bytes(&self) -> usize {
        let ours = self.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with(PREFIX));
        ours.map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The first IMAGXP header whose value has a byte that none may have.
    pub(crate) fn unprintable(&self) -> Option<String> {
        let ours = self.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with(PREFIX));
        let byte = |value: &str| value.bytes().find(|byte| !spec::request::BYTES.contains(byte));
        ours.filter_map(|(name, value)| Some(format!("byte {:#04x} in {name}", byte(value)?))).next()
    }

    /// Names of the IMAGXP headers that are there.
    pub(crate) fn imagxp_names(&self) -> Vec<String> {
        let names = self.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        names.filter(|name| name.starts_with(PREFIX)).collect()
    }
}

fn from_json(text: &str) -> Result<Vec<(String, String)>, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("the headers are not a JSON object: {error}"))?;
    let header = |(name, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(value) => Ok((name, value)),
        _ => Err(format!("the header {} is not a string", print::shown(&name))),
    };
    if !object.keys().any(|name| name.to_ascii_lowercase().starts_with(PREFIX)) {
        return Err("the JSON object holds no x-imagxp header".to_owned());
    }
    object.into_iter().map(header).collect()
}

fn from_lines(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // `> ` is how curl -v marks what it sent; the request line is not a header.
        let line = line.strip_prefix("> ").unwrap_or(line).trim();
        if line.is_empty() || line == ">" || index == 0 && line.contains(" HTTP/") {
            continue;
        }
        // The line is not shown: it may be a key that was given by mistake.
        let header = line.split_once(':');
        let (name, value) = header.ok_or_else(|| format!("line {} is not `name: value`", index + 1))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for text in [
            "x-imagxp-key: a\nAccept: b:c\n",
            "GET /a HTTP/1.1\r\nX-IMAGXP-Key: a\r\naccept:b:c\r\n\r\n",
            "> x-imagxp-key: a\n> accept: b:c\n>\n",
            r#"{"x-imagxp-key":"a","accept":"b:c"}"#,
        ] {
            let file = RequestFile::parse(text.as_bytes()).unwrap();
            assert_eq!(file.get(&["x-imagxp-public-key", "x-imagxp-key"]), Some("a"), "{text}");
            assert_eq!(file.get(&["ACCEPT"]), Some("b:c"), "{text}");
        }
        for text in ["no colon", "{\"a\":1}", "{\"a\"", "\u{feff}{"] {
            assert!(RequestFile::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
