//! Which addresses a fetch may connect to, and which network an address belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use imagxp::host::{may_connect, v4_inside};

use super::reason::Reason;

/// A range of addresses: `10.0.0.0/8`, `168.63.129.16`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    base: IpAddr,
    bits: u8,
}

impl Range {
    /// Whether the address is one of the range. An IPv4 address written as IPv6, mapped or for NAT64, is the IPv4 address, too.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        [plain(address), address].into_iter().any(|address| prefix(address, self.bits) == prefix(self.base, self.bits))
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of addresses such as 10.0.0.0/8 or 168.63.129.16");
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Ok(Self { base, bits })
    }
}

/// Whom a fetch may reach.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// Public addresses, but for the denied ones; and the allowed ones.
    Public {
        /// Refused, whatever else holds.
        denied: &'a [Range],
        /// Good, though not public.
        allowed: &'a [Range],
    },
    /// This machine only.
    Loopback,
    /// Everything: for a URL that the user of this machine typed.
    Anywhere,
}

impl Reach<'_> {
    /// Judges one address.
    ///
    /// # Errors
    /// [`Reason::Forbidden`]
    pub fn check(&self, address: IpAddr) -> Result<(), Reason> {
        let within = |ranges: &[Range]| ranges.iter().any(|range| range.contains(address));
        let good = match self {
            Self::Anywhere => true,
            Self::Loopback => address.is_loopback(),
            Self::Public { denied, allowed } => !within(denied) && (may_connect(address).is_ok() || within(allowed)),
        };
        if good { Ok(()) } else { Err(Reason::Forbidden(address)) }
    }
}

/// The network that shares a budget: /24 of IPv4, /48 of IPv6.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    let address = plain(address);
    prefix(address, if address.is_ipv4() { 24 } else { 48 })
}

/// The client that shares a budget: an IPv4 address, a /64 of IPv6.
pub(crate) fn client_of(address: IpAddr) -> IpAddr {
    let address = plain(address);
    prefix(address, if address.is_ipv4() { 32 } else { 64 })
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v4_inside(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn prefix(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges() {
        assert!(range("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(range("168.63.129.16").contains(ip("64:ff9b::a83f:8110")), "as NAT64 has it");
        assert!(range("64:ff9b::/96").contains(ip("64:ff9b::808:808")) && range("::/0").contains(ip("64:ff9b::1")));
        assert!(range("10.0.0.0/8").contains(ip("::ffff:10.1.2.3")));
        assert!(!range("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(range("168.63.129.16").contains(ip("168.63.129.16")));
        assert!(!range("168.63.129.16").contains(ip("168.63.129.17")));
        assert!(range("fd00::/8").contains(ip("fdff::1")));
        assert!(range("0.0.0.0/0").contains(ip("1.2.3.4")));
        assert!(!range("0.0.0.0/0").contains(ip("2606::1")));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/x", "example.com"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn denied_beats_allowed_and_public() {
        let (denied, allowed) = ([range("168.63.129.16"), range("10.9.0.0/16")], [range("10.0.0.0/8")]);
        let reach = Reach::Public { denied: &denied, allowed: &allowed };
        for (address, good) in
            [("1.1.1.1", true), ("168.63.129.16", false), ("10.1.1.1", true), ("10.9.1.1", false), ("127.0.0.1", false)]
        {
            assert_eq!(reach.check(ip(address)).is_ok(), good, "{address}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(network_of(ip("1.2.3.4")), ip("1.2.3.0"));
        assert_eq!(network_of(ip("::ffff:1.2.3.4")), ip("1.2.3.0"));
        assert_eq!(network_of(ip("2606:4700:4700:1::1")), ip("2606:4700:4700::"));
        assert_eq!(client_of(ip("2606:4700:4700:1::1")), ip("2606:4700:4700:1::"));
    }
}
