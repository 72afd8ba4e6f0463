//! Names and addresses: which `agent_id` names a public host, and to which addresses its manifest may be fetched from.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    Error,
    codec::punycode,
    spec::field::{AGENT_ID_LEN, FORBIDDEN_SUFFIXES, LABEL_MAX},
};

/// Which names count. The host says so at its start, and logs it when it is not [`Mode::Production`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Public domain names only.
    #[default]
    Production,
    /// Also `localhost`, with a port or without. Never on a public site.
    Development,
}

/// Judges an `agent_id` (threats.md section 4.3): 4 to 253 bytes; at least two lower-case labels of letters, digits and inner
/// hyphens; the last one alphabetic or `xn--`; every `xn--` label the Punycode of a label that is not ASCII;
/// no name under a special-use suffix. So it is no address, and carries no port, scheme, path or trailing dot.
///
/// # Errors
/// `AGENT_ID_INVALID`
pub fn check_agent_id(name: &str, mode: Mode) -> Result<(), Error> {
    let name = name.as_bytes();
    if is_public_name(name) || mode == Mode::Development && is_localhost(name) {
        Ok(())
    } else {
        Err(Error::AgentIdInvalid)
    }
}

/// Judges an address that a name resolved to: may a verifier connect to it (threats.md section 8, SSRF-4)?
///
/// Refused is whatever the IANA registries of special-purpose addresses list, globally reachable or not, all multicast, and all
/// IPv6 outside the one block from which public addresses are given. An IPv4-mapped or NAT64 address is judged by the IPv4 inside.
/// The host must connect to the very address that was judged, and may refuse more (cloud services: `168.63.129.16`).
///
/// # Errors
/// `HOST_FORBIDDEN`
pub fn may_connect(address: IpAddr) -> Result<(), Error> {
    let public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    if public { Ok(()) } else { Err(Error::HostForbidden) }
}

fn is_public_name(name: &[u8]) -> bool {
    let mut labels = name.rsplit(|byte| *byte == b'.');
    AGENT_ID_LEN.contains(&name.len())
        && labels.next().is_some_and(|last| is_label(last) && is_top_level(last))
        && labels.next().is_some_and(is_label)
        && labels.all(is_label)
}

/// `localhost` or `localhost:1` to `localhost:65535`.
fn is_localhost(name: &[u8]) -> bool {
    match name.strip_prefix(b"localhost") {
        Some([]) => true,
        Some([b':', port @ ..]) => is_port(port),
        _ => false,
    }
}

/// A decimal number from 1 to 65535 without leading zeros or sign.
fn is_port(text: &[u8]) -> bool {
    let number = core::str::from_utf8(text).ok().and_then(|text| text.parse::<u16>().ok());
    matches!(text, [b'1'..=b'9', ..]) && number.is_some()
}

fn is_label(label: &[u8]) -> bool {
    let is_allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if label.len() > LABEL_MAX || !label.iter().all(is_allowed) {
        return false;
    }
    match label {
        [] | [b'-', ..] | [.., b'-'] => false,
        [b'x', b'n', b'-', b'-', encoded @ ..] => punycode::is_label(encoded),
        // Reserved for prefixes like it (RFC 5890 section 2.3.1).
        [_, _, b'-', b'-', ..] => false,
        _ => true,
    }
}

/// Whether a label may stand last: the address parsers of browsers take any name that ends in a number for an IPv4 address.
fn is_top_level(label: &[u8]) -> bool {
    let alphabetic = label.len() >= 2 && label.iter().all(u8::is_ascii_lowercase);
    let special = FORBIDDEN_SUFFIXES.iter().any(|suffix| suffix.as_bytes() == label);
    (alphabetic || label.starts_with(b"xn--")) && !special
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let within = |(base, len): &(Ipv4Addr, u32)| (bits ^ base.to_bits()).leading_zeros() >= *len;
    !SPECIAL_V4.iter().any(within)
}

/// The IPv4 address that an IPv6 address is in disguise, mapped or by NAT64: ranges and budgets of addresses are for both.
#[must_use]
pub fn v4_inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let within = |(base, len): &(Ipv6Addr, u32)| (bits ^ base.to_bits()).leading_zeros() >= *len;
    let [.., a, b, c, d] = address.octets();
    WITH_V4_INSIDE.iter().any(within).then_some(Ipv4Addr::new(a, b, c, d))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |(base, len): &(Ipv6Addr, u32)| (bits ^ base.to_bits()).leading_zeros() >= *len;
    if let Some(inside) = v4_inside(address) {
        return is_public_v4(inside);
    }
    within(&GLOBAL_UNICAST) && !SPECIAL_V6.iter().any(within)
}

/// The IANA IPv4 Special-Purpose Address Registry, multicast and 240/4, each with the length of its prefix. Some of these are globally reachable
/// (AS112, anycast relays): no site is served from them.
#[rustfmt::skip]
const SPECIAL_V4: [(Ipv4Addr, u32); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),         // this network: RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),        // private use: RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),     // carrier-grade NAT: RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),       // loopback: RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16),    // link local, cloud metadata: RFC 3927
    (Ipv4Addr::new(172, 16, 0, 0), 12),     // private use: RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),      // IETF protocol assignments: RFC 6890
    (Ipv4Addr::new(192, 0, 2, 0), 24),      // documentation: RFC 5737
    (Ipv4Addr::new(192, 31, 196, 0), 24),   // AS112: RFC 7535
    (Ipv4Addr::new(192, 52, 193, 0), 24),   // AMT: RFC 7450
    (Ipv4Addr::new(192, 88, 99, 0), 24),    // 6to4 relay anycast: RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),    // private use: RFC 1918
    (Ipv4Addr::new(192, 175, 48, 0), 24),   // AS112: RFC 7534
    (Ipv4Addr::new(198, 18, 0, 0), 15),     // benchmarking: RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24),   // documentation: RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),    // documentation: RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),       // multicast: RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4),       // reserved, limited broadcast: RFC 1112, RFC 8190
];

/// Where an IPv6 address is an IPv4 address in disguise, in its last 32 bits. The local-use NAT64 prefix `64:ff9b:1::/48`
/// (RFC 8215) is not here: it may lead anywhere, and is outside [`GLOBAL_UNICAST`].
const WITH_V4_INSIDE: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xFFFF, 0, 0), 96), // IPv4-mapped: RFC 4291 section 2.5.5.2
    (Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0), 96), // NAT64: RFC 6052 section 2.1
];

/// The only block of which the IANA gives public unicast addresses (RFC 4291 section 2.4). Outside it are loopback, link and unique
/// local addresses, multicast, discard (RFC 6666), segment identifiers `5f00::/16` (RFC 9602), and what nobody uses.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The IANA IPv6 Special-Purpose Address Registry, as far as it lies in [`GLOBAL_UNICAST`].
#[rustfmt::skip]
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    // IETF protocol assignments: RFC 2928. In it Teredo, benchmarking, AMT, AS112 (2001:4:112::/48, RFC 7535), ORCHID, drones.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0), 32),       // documentation: RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),           // 6to4: RFC 3056, any IPv4 inside, through anybody's relay
    (Ipv6Addr::new(0x2620, 0x4F, 0x8000, 0, 0, 0, 0, 0), 48),   // AS112: RFC 7534
    (Ipv6Addr::new(0x3FFF, 0, 0, 0, 0, 0, 0, 0), 20),           // documentation: RFC 9637
];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{format, string::String};

    fn ok(name: &str) -> bool {
        check_agent_id(name, Mode::Production).is_ok()
    }

    #[test]
    fn names() {
        let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(58));
        for name in [
            "a.co",
            "bot.example.org",
            "a-b.example-site.org",
            "3.14.com",
            "0.pool.ntp.org",
            "a--b.com",
            "xn--p1ai.xn--p1ai",
            "xn--bcher-kva.de",
            "local.com",
            "a.localhosts",
            "test.ing",
            &format!("{long}.co"),
            &format!("{}.com", "a".repeat(63)),
        ] {
            assert!(ok(name), "{name}");
        }
        for name in [
            "",
            "com",
            "a.c",
            "localhost",
            "openai.com.",
            ".openai.com",
            "a..com",
            "OpenAI.com",
            "openai.com:443",
            "https://openai.com",
            "openai.com/",
            "user@openai.com",
            "a-.com",
            "-a.com",
            "a.-b.com",
            "a.com-",
            "a_b.com",
            "a.com\n",
            "a\0.com",
            "a%2ecom",
            "\u{FF41}.com",
            "a\u{3002}com",
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "a.0x1",
            "a.b.c1",
            "a.1",
            "[::1]",
            "foo.localhost",
            "foo.local",
            "metadata.google.internal",
            "x.test",
            "x.example",
            "x.invalid",
            "x.onion",
            "x.alt",
            "home.arpa",
            "x.corp",
            "x.home",
            "x.lan",
            "x.intranet",
            "ab--cd.com",
            "r2---sn.googlevideo.com",
            "xn--.com",
            "xn--a.com",
            "xn--example-.org",
            "xn--999999999999.com",
            "a.xn--",
            "a.xn--a",
            &format!("{long}.com"),
            &format!("{}.com", "a".repeat(64)),
        ] {
            assert!(!ok(name), "{name}");
            let too = check_agent_id(name, Mode::Development).is_ok();
            assert_eq!(too, name == "localhost", "{name}");
        }
    }

    #[test]
    fn development() {
        for (name, expected) in [
            ("localhost", true),
            ("localhost:1", true),
            ("localhost:3000", true),
            ("localhost:65535", true),
            ("a.co", true),
            ("localhost:", false),
            ("localhost:0", false),
            ("localhost:080", false),
            ("localhost:65536", false),
            ("localhost:+80", false),
            ("localhost:80/", false),
            ("localhosts", false),
            ("LOCALHOST", false),
            ("a.co:80", false),
            ("127.0.0.1:80", false),
        ] {
            assert_eq!(check_agent_id(name, Mode::Development).is_ok(), expected, "{name}");
        }
    }

    /// An address just outside each end of a range is judged by its neighbours in the table only.
    #[test]
    fn edges_of_every_range() {
        let judge = |address: Ipv4Addr| may_connect(address.into()).is_ok();
        for (base, len) in SPECIAL_V4 {
            let (first, last) = (base.to_bits(), base.to_bits() | (u32::MAX >> len));
            assert_eq!(first, first & !(u32::MAX >> len), "{base}/{len} has host bits");
            assert!(!judge(Ipv4Addr::from_bits(first)) && !judge(Ipv4Addr::from_bits(last)), "{base}");
            for outside in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
                let known = SPECIAL_V4.iter().any(|(base, len)| base.to_bits() == outside & !(u32::MAX >> len));
                assert_eq!(judge(Ipv4Addr::from_bits(outside)), !known, "{}", Ipv4Addr::from_bits(outside));
            }
        }
        for (base, len) in SPECIAL_V6 {
            let (first, last) = (base.to_bits(), base.to_bits() | (u128::MAX >> len));
            assert_eq!(first, first & !(u128::MAX >> len), "{base}/{len} has host bits");
            for (bits, expected) in [(first - 1, true), (first, false), (last, false), (last + 1, true)] {
                let address = Ipv6Addr::from_bits(bits);
                // 2002::/16 follows 2001::/16, but nothing special touches anything special.
                assert_eq!(may_connect(address.into()).is_ok(), expected, "{address}");
            }
        }
    }

    #[test]
    fn addresses() {
        for (address, expected) in [
            ("1.1.1.1", true),
            ("93.184.216.34", true),
            ("168.63.129.16", true),
            ("169.254.169.254", false),
            ("192.0.0.192", false),
            ("2606:4700:4700::1111", true),
            ("2001:4860:4860::8888", true),
            ("3ffe::1", true),
            ("::", false),
            ("::1", false),
            ("::ffff:8.8.8.8", true),
            ("::ffff:10.0.0.1", false),
            ("::8.8.8.8", false),
            ("::fffe:808:808", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:0:0:0:1:808:808", false),
            ("64:ff9b:1::808:808", false),
            ("100::1", false),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false),
            ("2001:4:112::1", false),
            ("2002:808:808::1", false),
            ("1fff:ffff::", false),
            ("4000::", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(may_connect(ip), if expected { Ok(()) } else { Err(Error::HostForbidden) }, "{address}");
        }
    }

    #[test]
    fn a_mapped_address_is_judged_like_the_plain_one() {
        for high in 0..=u16::MAX {
            let plain = Ipv4Addr::from_bits(u32::from(high) << 16 | 0x0201);
            let expected = may_connect(plain.into());
            assert_eq!(may_connect(plain.to_ipv6_mapped().into()), expected);
            let [a, b, c, d] = plain.octets();
            let nat64: String = format!("64:ff9b::{a}.{b}.{c}.{d}");
            assert_eq!(may_connect(nat64.parse().unwrap()), expected);
        }
    }
}
