//! As much of a URL as the protocol needs: absolute http and https, taken apart without copying (RFC 3986 section 3).

use crate::codec::decimal::split_at_byte;
use crate::policy::ResourceBinding;
use crate::{Error, spec};

/// An absolute URL in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// `https` or `http`, as written in lower case.
    pub(crate) scheme: &'static str,
    /// Host and port as written.
    pub(crate) authority: &'a str,
    /// Path and query as written; may be empty.
    pub(crate) target: &'a str,
}

impl<'a> Url<'a> {
    /// None if it is not absolute, its scheme is another, or its authority is empty or holds userinfo.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = split_at_byte(text, |byte| byte == b':')?;
        let (scheme, rest) = (scheme_name(scheme)?, rest.strip_prefix("//")?);
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        let good = !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_graphic() && b != b'@' && b != b'\\');
        good.then_some(Self { scheme, authority, target })
    }

    /// Whether the host is this machine's own: localhost, 127.0.0.1, [::1], with or without a port.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.authority)
    }
}

/// Whether an authority is this machine's own: localhost, 127.0.0.1 or [::1], with or without a port.
pub(crate) fn is_loopback(authority: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|host| match authority.strip_prefix(host) {
        Some("") => true,
        Some(port) => port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    })
}

fn scheme_name(scheme: &str) -> Option<&'static str> {
    ["https", "http"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
}

/// The authority without the scheme's default port.
fn without_default_port<'a>(authority: &'a str, scheme: &str) -> &'a str {
    let port = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// What of the request the signature binds (protocol.md section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Bound {
    /// Nothing: the policy does not ask.
    Nothing = 0,
    /// Scheme and authority.
    Authority = 1,
    /// Scheme, authority, path and query.
    Exact = 2,
}

impl Bound {
    /// The name as verdicts show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Authority => "authority",
            Self::Exact => "exact",
        }
    }
}

/// Compares a signed `resource` with the request.
///
/// # Errors
/// `RESOURCE_INVALID`, `RESOURCE_MISMATCH`
pub(crate) fn bind(
    resource: &str,
    scheme: &str,
    authority: &str,
    target: &str,
    binding: ResourceBinding,
) -> Result<Bound, Error> {
    if resource.len() > spec::field::RESOURCE_MAX {
        return Err(Error::ResourceInvalid);
    }
    if binding == ResourceBinding::Off {
        return Ok(Bound::Nothing);
    }
    let signed = parse_resource(resource).ok_or(Error::ResourceInvalid)?;
    let scheme = scheme_name(scheme).ok_or(Error::ResourceMismatch)?;
    let ours = without_default_port(authority, scheme);
    let theirs = without_default_port(signed.authority, signed.scheme);
    if ours.is_empty() || signed.scheme != scheme || !ours.eq_ignore_ascii_case(theirs) {
        return Err(Error::ResourceMismatch);
    }
    match binding {
        ResourceBinding::Exact if !same_target(signed.target, target) => Err(Error::ResourceMismatch),
        ResourceBinding::Exact => Ok(Bound::Exact),
        _ => Ok(Bound::Authority),
    }
}

/// The grammar of threats.md 4.3: absolute, no userinfo, no backslash, no control bytes, no dot-dot segments.
fn parse_resource(resource: &str) -> Option<Url<'_>> {
    // Without an early end, so that compilers make vector code of it.
    if !resource.bytes().fold(true, |good, byte| good & !byte.is_ascii_control() & (byte != b'\\')) {
        return None;
    }
    let url = Url::parse(resource)?;
    let path = split_at_byte(url.target, |byte| matches!(byte, b'?' | b'#')).map_or(url.target, |(path, _)| path);
    // Nothing to look for in most paths. Without an early end, as above.
    let may_have_dots = path.bytes().fold(false, |found, byte| found | (byte == b'.') | (byte == b'%'));
    let has_dots = may_have_dots && path.as_bytes().split(|byte| *byte == b'/').any(is_dot_dot);
    (!has_dots).then_some(url)
}

/// `..`, also with a dot written as `%2e`, which URL parsers take for the same (WHATWG URL, double-dot segment).
fn is_dot_dot(segment: &[u8]) -> bool {
    let dots: [&[u8]; 4] = [b"..", b".%2e", b"%2e.", b"%2e%2e"];
    dots.into_iter().any(|dots| segment.eq_ignore_ascii_case(dots))
}

/// An empty path is `/` (RFC 3986 section 6.2.3).
fn same_target(signed: &str, requested: &str) -> bool {
    if signed.starts_with('/') { signed == requested } else { requested.strip_prefix('/') == Some(signed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(resource: &str, authority: &str, target: &str) -> Result<Bound, Error> {
        bind(resource, "https", authority, target, ResourceBinding::Exact)
    }

    #[test]
    fn the_same_request() {
        for (resource, authority, target) in [
            ("https://pub.example.com/a?b=c", "pub.example.com", "/a?b=c"),
            ("HTTPS://PUB.example.com:443/a", "pub.example.com", "/a"),
            ("https://pub.example.com/a", "Pub.Example.Com:443", "/a"),
            ("https://pub.example.com", "pub.example.com", "/"),
            ("https://pub.example.com?q", "pub.example.com", "/?q"),
            ("https://pub.example.com:8443/@user", "pub.example.com:8443", "/@user"),
        ] {
            assert_eq!(exact(resource, authority, target), Ok(Bound::Exact), "{resource}");
        }
    }

    #[test]
    fn another_request() {
        for (resource, authority, target) in [
            ("https://pub.example.com/a", "pub.example.com", "/A"),
            ("https://pub.example.com/a", "pub.example.com", "/a?"),
            ("https://pub.example.com/a", "other.example.com", "/a"),
            ("http://pub.example.com/a", "pub.example.com", "/a"),
            ("https://pub.example.com:80/a", "pub.example.com", "/a"),
            ("https://pub.example.com/a#f", "pub.example.com", "/a"),
            ("https://pub.example.com/a", "", "/a"),
        ] {
            assert_eq!(exact(resource, authority, target), Err(Error::ResourceMismatch), "{resource}");
        }
    }

    #[test]
    fn no_resource_at_all() {
        let bad = [
            "",
            "/a",
            "ftp://pub.example.com/",
            "https:///a",
            "https://u@pub.example.com/",
            "https://pub.example.com/a/../b",
        ];
        let worse = [
            "https://pub.example.com/%2E./b",
            "https://pub.example.com\\a",
            "https://pub.example.com/\n",
            "//pub.example.com/",
        ];
        for resource in bad.into_iter().chain(worse) {
            assert_eq!(exact(resource, "pub.example.com", "/a"), Err(Error::ResourceInvalid), "{resource}");
            let off = bind(resource, "https", "pub.example.com", "/a", ResourceBinding::Off);
            assert_eq!(off, Ok(Bound::Nothing), "{resource}");
        }
    }
}
