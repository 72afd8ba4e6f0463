//! Where a document is: its URL, judged and taken apart.

use http::Uri;
use imagxp::host::{self, Mode};

use super::Wanted;
use super::address::{Range, Reach};
use super::reason::Reason;

/// A server, and what to ask of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether to speak TLS.
    pub tls: bool,
    /// The name, without a port.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host, and port where the URL has one: the `Host` header.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// Takes any http or https URL apart.
    ///
    /// # Errors
    /// [`Reason::Url`]
    pub fn parse(url: &str) -> Result<Self, Reason> {
        let uri = Some(url).filter(|url| url.is_ascii()).and_then(|url| url.parse::<Uri>().ok());
        let uri = uri.ok_or(Reason::Url("not a URL: percent-encode what is not ASCII"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Reason::Url("not an absolute https URL")),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or(Reason::Url("not an https URL with a host, and without a user"))?;
        let port = match (authority.port(), tls) {
            (Some(port), _) => port.as_u16(),
            (None, true) => 443,
            (None, false) => 80,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(Self { tls, host, port, authority: authority.to_string(), path })
    }

    /// The target of a wanted document, if it may be fetched at all (SSRF-1 to SSRF-3).
    pub(crate) fn of(wanted: &Wanted, development: bool) -> Result<Self, Reason> {
        let target = Self::parse(&wanted.url)?;
        if development && target.is_loopback() {
            return Ok(target);
        }
        if !target.tls {
            return Err(Reason::Url("plain http is for localhost in development mode"));
        }
        if target.host.parse::<std::net::IpAddr>().is_ok() {
            return Err(Reason::Url("an address stands where a name belongs"));
        }
        if !wanted.configured {
            // The library has judged the name already; the port follows from it.
            let named = host::check_agent_id(&target.authority, Mode::Production);
            named.map_err(|_| Reason::Url("not a public domain name without a port"))?;
        }
        Ok(target)
    }

    pub(crate) fn reach<'a>(&self, configured: bool, denied: &'a [Range], allowed: &'a [Range]) -> Reach<'a> {
        if self.is_loopback() {
            return Reach::Loopback;
        }
        Reach::Public { denied, allowed: if configured { allowed } else { &[] } }
    }

    /// Whether the host is this machine's own: `localhost`, 127.0.0.1, \[::1\].
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        ["localhost", "127.0.0.1", "::1"].contains(&&*self.host)
    }

    /// The URL as it is asked for: what an agent signs.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imagxp::Kind;

    fn of(url: &str, configured: bool, development: bool) -> Result<Target, Reason> {
        let wanted = Wanted { kind: Kind::Manifest, url: url.into(), host: String::new(), configured, max_len: 8_192 };
        Target::of(&wanted, development)
    }

    #[test]
    fn strangers_and_operators() {
        let manifest = "https://bot.example.com/.well-known/imagxp-agent.json";
        assert_eq!(of(manifest, false, false).unwrap().port, 443);
        assert_eq!(of("https://broker.example.com:8443/jwks", true, false).unwrap().port, 8443);
        for (url, configured) in [
            ("https://bot.example.com:8443/a", false),
            ("https://127.0.0.1/a", false),
            ("https://[::1]/a", false),
            ("https://localhost/a", false),
            ("https://bot.local/a", false),
            ("http://bot.example.com/a", false),
            ("http://bot.example.com/a", true),
            ("http://localhost:3000/a", false),
            ("http://localhost:3000/a", true),
            ("https://10.0.0.1/a", true),
            ("https://user@bot.example.com/a", true),
            ("ftp://bot.example.com/a", true),
            ("bot.example.com", true),
        ] {
            assert!(of(url, configured, false).is_err(), "{url}");
        }
    }

    #[test]
    fn development_is_this_machine() {
        for url in ["http://localhost:3000/a", "http://127.0.0.1:1/a", "http://[::1]:1/a"] {
            let target = of(url, false, true).unwrap();
            assert!(matches!(target.reach(true, &[], &[]), Reach::Loopback), "{url}");
        }
        for url in ["http://bot.example.com/a", "http://localhost.example.com/a", "http://10.0.0.1/a"] {
            assert!(of(url, true, true).is_err(), "{url}");
        }
    }

    #[test]
    fn as_it_is_asked_for() {
        let url = |text| Target::parse(text).unwrap().url();
        assert_eq!(url("https://pub.example.com"), "https://pub.example.com/");
        assert_eq!(url("https://pub.example.com/a?b=c#d"), "https://pub.example.com/a?b=c");
        assert_eq!(url("https://pub.example.com?b"), "https://pub.example.com/?b");
    }
}
