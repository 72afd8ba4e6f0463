//! Visits to publishers, and what must become of each.

use imagxp::{Claims, Error, KeyPair, PublicKey, Purpose, UnixMillis, spec};
use imagxp_host::system;

use super::money::Visa;
use super::publisher::Site;
use super::stage::Stage;
use crate::failure::Failure;
use crate::sign;

/// One visit.
pub(super) struct Scene<'s> {
    /// Who comes.
    pub(super) who: &'static str,
    /// What is asked for.
    pub(super) url: String,
    /// What was signed.
    pub(super) signed_url: String,
    pub(super) claims: Claims<'s>,
    pub(super) key: &'s PublicKey,
    pub(super) signed: UnixMillis,
    pub(super) headers: Vec<Header>,
    /// Nothing was signed for it.
    pub(super) is_copy: bool,
    pub(super) expected: &'static str,
}

/// A header to send.
pub(super) type Header = (&'static str, String);

/// The late visit was signed this long ago; the window is five minutes.
const LATE_MS: i64 = 10 * 60 * 1_000;

const PAGE: &str = "/articles/42";

impl<'s> Scene<'s> {
    /// The agent, with a visa or without.
    pub(super) fn agent(stage: &'s Stage, site: &Site, visa: Option<&Visa>) -> Result<Self, Failure> {
        let expected = if visa.is_some() { "OK" } else { Error::VisaRequired.name() };
        Ok(Self { expected, ..Self::new(stage, &stage.key, site.page(PAGE), site.page(PAGE), system::now(), visa)? })
    }

    /// The agent again, with its feedback on the page.
    pub(super) fn word(stage: &'s Stage, site: &Site, visa: &Visa, word: &str) -> Result<Self, Failure> {
        let mut scene = Self::agent(stage, site, Some(visa))?;
        scene.headers.push((spec::header::FEEDBACK, word.to_owned()));
        Ok(scene)
    }

    /// Somebody who claims the agent's name and even has its visa, and signs well, with a key of its own.
    pub(super) fn fake(stage: &'s Stage, site: &Site, visa: &Visa) -> Result<Self, Failure> {
        let (page, key) = (site.page(PAGE), &stage.foreign_key);
        let scene = Self::new(stage, key, page.clone(), page, system::now(), Some(visa))?;
        Ok(Self { who: "fake", expected: Error::KeyMismatch.name(), ..scene })
    }

    /// A request once more, as it was.
    pub(super) fn echo(stage: &'s Stage, site: &Site, first: &Self) -> Result<Self, Failure> {
        let scene = Self::agent(stage, site, None)?;
        let (headers, expected) = (first.headers.clone(), Error::ReplayDetected.name());
        Ok(Self { who: "echo", headers, expected, is_copy: true, ..scene })
    }

    /// Signed ten minutes ago.
    pub(super) fn latecomer(stage: &'s Stage, site: &Site, visa: &Visa) -> Result<Self, Failure> {
        let (page, at) = (site.page(PAGE), system::now().saturating_sub(LATE_MS));
        let scene = Self::new(stage, &stage.key, page.clone(), page, at, Some(visa))?;
        Ok(Self { expected: Error::TimestampStale.name(), ..scene })
    }

    /// Signed for another page.
    pub(super) fn stray(stage: &'s Stage, site: &Site, visa: &Visa) -> Result<Self, Failure> {
        let (page, signed) = (site.page(PAGE), site.page("/articles/1"));
        let scene = Self::new(stage, &stage.key, page, signed, system::now(), Some(visa))?;
        Ok(Self { expected: Error::ResourceMismatch.name(), ..scene })
    }

    fn new(
        stage: &'s Stage,
        key: &'s KeyPair,
        url: String,
        signed_url: String,
        at: UnixMillis,
        visa: Option<&Visa>,
    ) -> Result<Self, Failure> {
        let claims =
            Claims { agent_id: &stage.agent_id, resource: "", purpose: Purpose::RagRetrieval, ads_displayed: false };
        let visa = visa.map(|visa| &*visa.token);
        let headers = sign::sign(key, &Claims { resource: &signed_url, ..claims }, visa, at)?;
        let key = key.public();
        Ok(Self { who: "agent", url, signed_url, claims, key, signed: at, headers, is_copy: false, expected: "OK" })
    }
}
