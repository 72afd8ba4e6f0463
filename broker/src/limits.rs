//! How often one client address, and one agent, may ask.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::answer::Refusal;

/// Two limits; each may be off.
pub(crate) struct Limits {
    clients: Option<DefaultKeyedRateLimiter<IpAddr>>,
    agents: Option<DefaultKeyedRateLimiter<String>>,
}

impl Limits {
    /// Requests a second, with bursts of twice as many; 0: without limit.
    pub(crate) fn new(per_client: u32, per_agent: u32) -> Self {
        Self { clients: quota(per_client).map(RateLimiter::keyed), agents: quota(per_agent).map(RateLimiter::keyed) }
    }

    /// Before anything is read: what a stranger may cost.
    pub(crate) fn client(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        let (Some(limiter), Some(address)) = (&self.clients, address) else { return Ok(()) };
        limiter.check_key(&whose(address)).map_err(|_| Refusal::RateLimited)
    }

    /// Once the agent is verified.
    pub(crate) fn agent(&self, agent_id: &String) -> Result<(), Refusal> {
        let Some(limiter) = &self.agents else { return Ok(()) };
        limiter.check_key(agent_id).map_err(|_| Refusal::RateLimited)
    }

    /// Forgets whoever has been quiet.
    pub(crate) fn tidy(&self) {
        if let Some(clients) = &self.clients {
            clients.retain_recent();
            clients.shrink_to_fit();
        }
        if let Some(agents) = &self.agents {
            agents.retain_recent();
            agents.shrink_to_fit();
        }
    }
}

fn quota(per_second: u32) -> Option<Quota> {
    let rate = NonZeroU32::new(per_second)?;
    Some(Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1))))
}

/// One customer has a /64 of IPv6.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}
