//! Our name grammar against a plain reading of it with crate `idna`'s Punycode, and addresses against the laws of the classifier.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use imagxp::host::{Mode, check_agent_id, may_connect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(name) = core::str::from_utf8(data) {
        let ours = check_agent_id(name, Mode::Production).is_ok();
        assert_eq!(ours, is_name(name), "{name:?}");
        if ours {
            assert!(check_agent_id(name, Mode::Development).is_ok());
            assert!(name.parse::<IpAddr>().is_err());
        }
    }
    if let Some((octets, _)) = data.split_first_chunk::<16>() {
        address(Ipv6Addr::from(*octets));
    }
});

fn is_name(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    let special = "localhost local internal intranet lan home corp test invalid example onion alt arpa";
    (4..=253).contains(&name.len())
        && labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        && (last.starts_with("xn--") || last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_lowercase()))
        && !special.split(' ').any(|word| word == last)
}

fn is_label(label: &str) -> bool {
    let plain = (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain
        && match label.strip_prefix("xn--") {
            None => label.get(2..4) != Some("--"),
            Some(encoded) => idna::punycode::decode_to_string(encoded).is_some_and(|decoded| {
                !decoded.is_ascii()
                    && !decoded.contains(|character| ('\u{80}'..='\u{9F}').contains(&character))
                    && idna::punycode::encode_str(&decoded).as_deref() == Some(encoded)
            }),
        }
}

fn address(v6: Ipv6Addr) {
    let ours = may_connect(v6.into()).is_ok();
    let nat64 = v6.segments()[..6] == [0x64, 0xFF9B, 0, 0, 0, 0];
    let inside =
        v6.to_ipv4_mapped().or_else(|| nat64.then(|| Ipv4Addr::from_bits((v6.to_bits() & 0xFFFF_FFFF) as u32)));
    match inside {
        Some(v4) => assert_eq!(ours, may_connect(v4.into()).is_ok()),
        None => assert!(!ours || v6.segments()[0] & 0xE000 == 0x2000),
    }
    if ours && inside.is_none() {
        assert!(!v6.is_loopback() && !v6.is_multicast() && !v6.is_unique_local() && !v6.is_unicast_link_local());
    }
    let v4 = Ipv4Addr::from_bits((v6.to_bits() >> 96) as u32);
    let special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || v4.is_broadcast()
        || v4.is_unspecified();
    assert!(!special || may_connect(v4.into()).is_err(), "{v4}");
    assert_eq!(may_connect(v4.into()), may_connect(v4.to_ipv6_mapped().into()));
}
