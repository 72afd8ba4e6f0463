//! What stands for a nonce, a `jti`, a name: keyed hashes, so that nobody without the secret can aim at a bucket,
//! craft a collision, or read an id out of the memory or out of a store elsewhere.

use super::mac::Mac;
use crate::spec::{replay, time};
use crate::time::UnixMillis;

/// What is remembered of one nonce or `jti`: 16 bytes that stand for it, and how long. Nodes that share the secret make
/// the same tag, so it can be the key in a store elsewhere (`SET tag 1 NX`, gone at `expiry_s`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The first 16 bytes of an HMAC-SHA-256 under the cache's secret.
    pub bytes: [u8; 16],
    /// The first second at which it may be forgotten, counted from 1970. The last one is in 2106.
    pub expiry_s: u32,
}

/// The tag of a request's nonce, kept until `ts + window + 1 s`, rounded up to a second.
///
/// That is the last moment at which the request is fresh, however early it was first seen. `agent_id` and
/// `nonce` are within the bounds of [`crate::spec::field`]. Source: threats.md section 7, REP-1 and REP-2.
#[must_use]
pub fn nonce_tag(secret: &[u8; 32], agent_id: &str, nonce: &str, ts: UnixMillis, window_ms: u32) -> Tag {
    Mac::new(secret).nonce_tag(agent_id, nonce, ts, window_ms)
}

/// The tag of a visa's `jti`, kept until `exp` and the tolerance for a token's dates are over.
///
/// `exp_s` is the claim's whole seconds (a fraction rounded up). Source: threats.md sections 4.4 and 7, REP-1.
#[must_use]
pub fn jti_tag(secret: &[u8; 32], issuer: &str, jti: &str, exp_s: i64) -> Tag {
    Mac::new(secret).jti_tag(issuer, jti, exp_s)
}

impl Mac {
    /// See [`nonce_tag`].
    pub(super) fn nonce_tag(&self, agent_id: &str, nonce: &str, ts: UnixMillis, window_ms: u32) -> Tag {
        let expiry_ms = ts.ms().saturating_add(i64::from(window_ms)).saturating_add(GRACE_MS);
        Tag { bytes: self.tag(replay::TAG_NONCE, agent_id, nonce), expiry_s: seconds_up(expiry_ms) }
    }

    /// See [`jti_tag`].
    pub(super) fn jti_tag(&self, issuer: &str, jti: &str, exp_s: i64) -> Tag {
        let expiry_s = exp_s.saturating_add(time::TOKEN_TOLERANCE_S);
        Tag { bytes: self.tag(replay::TAG_JTI, issuer, jti), expiry_s: clamp(expiry_s) }
    }

    /// A name's 32 bits in counters and slots; never 0, which marks what is free. A prefixed hash is enough here: it
    /// never leaves the cache's memory.
    pub(super) fn name_tag(&self, name: &str) -> u32 {
        let [a, b, c, d, ..] = self.prefixed(&[name.as_bytes()]);
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    fn tag(&self, domain: u8, owner: &str, value: &str) -> [u8; 16] {
        // The length keeps `a:b` + `c` apart from `a` + `b:c`. Names and issuers are far below 64 KiB.
        let owner_len = u16::try_from(owner.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mac = self.hmac(&[&[domain], &owner_len, owner.as_bytes(), value.as_bytes()]);
        let (tag, _) = mac.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        *tag
    }
}

/// The second that `now` lies in, as expiries are compared with it.
pub(super) fn seconds(now: UnixMillis) -> u32 {
    clamp(now.ms().div_euclid(MS))
}

/// The name that somebody had to pay for: sub-domains are free, so they share a quota.
///
/// An approximation without a list of public suffixes (threats.md section 7, REP-5): the last two labels, three when
/// the last but one has at most three letters (`example.co.uk`).
pub(super) fn registrable(agent_id: &str) -> &str {
    let mut dots = agent_id.bytes().enumerate().rev().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at);
    let Some(last) = dots.next() else { return agent_id };
    let Some(second) = dots.next() else { return agent_id };
    let short = last.saturating_sub(second) <= SHORT_LABEL.saturating_add(1);
    let before = if short { dots.next() } else { Some(second) };
    before.and_then(|dot| agent_id.get(dot.saturating_add(1)..)).unwrap_or(agent_id)
}

/// Letters of a label that is taken for a part of the public suffix (`co`, `com`, `net`).
const SHORT_LABEL: usize = 3;
const MS: i64 = 1_000;
/// Hosts that share a cache have clocks within a second of each other.
const GRACE_MS: i64 = 1_000;

fn seconds_up(ms: i64) -> u32 {
    clamp(ms.saturating_add(MS - 1).div_euclid(MS))
}

fn clamp(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_rounded_up_to_whole_seconds() {
        let expiry = |ts| nonce_tag(&[7; 32], "bot.example.com", "n", UnixMillis::from_ms(ts), 300_000).expiry_s;
        assert_eq!((expiry(1_000_000), expiry(1_000_001), expiry(1_000_999)), (1_301, 1_302, 1_302));
        assert_eq!((expiry(i64::MAX), expiry(i64::MIN)), (u32::MAX, 0));
        assert_eq!(jti_tag(&[7; 32], "https://b.example", "j", 2_000).expiry_s, 2_005);
        assert_eq!(jti_tag(&[7; 32], "https://b.example", "j", i64::MAX).expiry_s, u32::MAX);
    }

    #[test]
    fn tags_differ_by_length_prefix_domain_and_secret() {
        let nonce = |agent, nonce| nonce_tag(&[7; 32], agent, nonce, UnixMillis::from_ms(0), 0).bytes;
        assert_ne!(nonce("a:b", "c"), nonce("a", "b:c"));
        assert_ne!(nonce("ab", "c"), nonce("a", "bc"));
        assert_ne!(nonce("a", "b"), jti_tag(&[7; 32], "a", "b", 0).bytes);
        assert_ne!(nonce("a", "b"), nonce_tag(&[8; 32], "a", "b", UnixMillis::from_ms(0), 0).bytes);
    }

    #[test]
    fn registrable_names() {
        for (name, expected) in [
            ("bot.example.com", "example.com"),
            ("example.com", "example.com"),
            ("a.b.c.example.com", "example.com"),
            ("a.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("a.b.bbc.com", "b.bbc.com"),
            ("bbc.com", "bbc.com"),
            ("localhost", "localhost"),
            ("", ""),
            (".", "."),
            ("....", ".."),
        ] {
            assert_eq!(registrable(name), expected, "{name}");
        }
    }
}
