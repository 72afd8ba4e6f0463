//! Token buckets: so many a second, and a few at once; one for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::fetch::address::client_of;

/// So many a second, and at most `burst` at once.
#[derive(Clone, Copy)]
pub(crate) struct Bucket {
    per_s: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(per_s: u32, burst: u32, now: Instant) -> Self {
        Self { per_s: per_s.into(), burst: burst.into(), tokens: burst.into(), at: now }
    }

    /// Whether a token is there; it is taken.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let enough = self.has_one(now);
        if enough {
            self.tokens = self.level(now) - 1.0;
            self.at = now;
        }
        enough
    }

    /// Whether a token is there; it stays.
    pub(crate) fn has_one(&self, now: Instant) -> bool {
        self.level(now) >= 1.0
    }

    fn level(&self, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_s;
        (self.tokens + earned).min(self.burst)
    }

    fn is_full(&self, now: Instant) -> bool {
        self.level(now) >= self.burst
    }
}

/// A bucket for each client: an IPv4 address, or an IPv6 network that one customer has.
pub(crate) struct Clients {
    per_s: u32,
    burst: u32,
    buckets: HashMap<IpAddr, Bucket>,
}

/// Clients remembered at a time. When there are more, those with a full bucket are forgotten: they lose nothing. If none
/// is full, newcomers go unlimited, since what protects all from all is a limit in all.
const CLIENTS_MAX: usize = 4_096;

impl Clients {
    pub(crate) fn new(per_s: u32, burst: u32) -> Self {
        Self { per_s, burst, buckets: HashMap::new() }
    }

    /// Whether the client has a token; it is taken.
    pub(crate) fn take(&mut self, client: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= CLIENTS_MAX {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let fresh = Bucket::new(self.per_s, self.burst, now);
        self.buckets.len() >= CLIENTS_MAX || self.buckets.entry(client_of(client)).or_insert(fresh).take(now)
    }

    /// Whether the client has a token; it stays.
    pub(crate) fn has_one(&self, client: IpAddr, now: Instant) -> bool {
        self.buckets.get(&client_of(client)).is_none_or(|bucket| bucket.has_one(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2, 2, start);
        assert!(bucket.take(start) && bucket.take(start) && !bucket.take(start));
        assert!(bucket.take(start + Duration::from_millis(501)));
        assert!(!bucket.take(start + Duration::from_millis(502)));
    }

    #[test]
    fn a_burst_is_larger_than_a_second_and_ends() {
        let start = Instant::now();
        let mut bucket = Bucket::new(20, 40, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 40);
        assert!(!bucket.has_one(start));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 40, "no more than a burst is saved up");
    }

    #[test]
    fn clients_have_buckets_of_their_own_and_are_forgotten() {
        let start = Instant::now();
        let mut clients = Clients::new(1, 1);
        let client = |n: usize| IpAddr::from([10, 0, u8::try_from(n / 256).unwrap(), u8::try_from(n % 256).unwrap()]);
        for n in 0..CLIENTS_MAX {
            assert!(clients.has_one(client(n), start) && clients.take(client(n), start));
            assert!(!clients.has_one(client(n), start));
        }
        assert!(clients.take(client(CLIENTS_MAX), start), "there is no room to limit this one");
        let later = start + Duration::from_secs(2);
        assert!(clients.take(client(CLIENTS_MAX), later));
        assert_eq!(clients.buckets.len(), 1, "the rest had nothing to lose");
    }
}
