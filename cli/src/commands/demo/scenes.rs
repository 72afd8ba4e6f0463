//! The five visits.

use imagxp::{Claims, Error, KeyPair, PublicKey, Purpose, UnixMillis};
use imagxp_host::system;

use super::{Stage, headers};
use crate::failure::Failure;

/// One visit, and what must become of it.
pub(super) struct Scene<'s> {
    pub(super) title: &'static str,
    pub(super) plot: &'static str,
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

/// How many there are.
pub(super) const COUNT: usize = 5;

/// Visit `number`, from 1 on; `first` is what the first one sent.
pub(super) fn make<'s>(stage: &'s Stage, number: usize, first: &[Header]) -> Result<Scene<'s>, Failure> {
    let article = stage.page("/articles/42");
    let now = system::now();
    let visit = |key, signed_url: &str, at| Scene::new(stage, key, article.clone(), signed_url.to_owned(), at);
    let scene = match number {
        1 => Scene {
            title: "The real one",
            plot: "signs with the key that its domain publishes",
            ..visit(&stage.key, &article, now)?
        },
        2 => Scene {
            title: "The liar",
            plot: "claims the same name, and signs well, with a key of its own",
            expected: Error::KeyMismatch.name(),
            ..visit(&stage.foreign_key, &article, now)?
        },
        3 => Scene {
            title: "The echo",
            plot: "sends the first request once more, as it was",
            expected: Error::ReplayDetected.name(),
            headers: first.to_vec(),
            is_copy: true,
            ..visit(&stage.key, &article, now)?
        },
        4 => Scene {
            title: "The latecomer",
            plot: "was signed ten minutes ago",
            expected: Error::TimestampStale.name(),
            ..visit(&stage.key, &article, now.saturating_sub(LATE_MS))?
        },
        _ => Scene {
            title: "The stray",
            plot: "was signed for another page",
            expected: Error::ResourceMismatch.name(),
            ..visit(&stage.key, &stage.page("/articles/1"), now)?
        },
    };
    Ok(scene)
}

impl<'s> Scene<'s> {
    fn new(
        stage: &'s Stage,
        key: &'s KeyPair,
        url: String,
        signed_url: String,
        at: UnixMillis,
    ) -> Result<Self, Failure> {
        let claims =
            Claims { agent_id: &stage.agent_id, resource: "", purpose: Purpose::RagRetrieval, ads_displayed: false };
        let headers = headers(key, &Claims { resource: &signed_url, ..claims }, at)?;
        Ok(Self {
            title: "",
            plot: "",
            url,
            signed_url,
            claims,
            key: key.public(),
            signed: at,
            headers,
            is_copy: false,
            expected: "OK",
        })
    }
}
