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
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) expected: &'static str,
}


/// The late visit was signed this long ago; the window is five minutes.
const LATE_MS: i64 = 10 * 60 * 1_000;

/// Each is signed now, but for the late one.
pub(super) fn all(stage: &Stage) -> Result<Vec<Scene<'_>>, Failure> {
    let article = || stage.page("/articles/42");
    let now = system::now();
    let visit = |key, signed_url, at| Scene::new(stage, key, article(), signed_url, at);
    let real = visit(&stage.key, article(), now)?;
    let repeated = real.headers.clone();
    Ok(vec![
        Scene { title: "The real one", plot: "signs with the key that its domain publishes", ..real },
        Scene {
            title: "The liar",
            plot: "claims the same name, and signs well, with a key of its own",
            expected: Error::KeyMismatch.name(),
            ..visit(&stage.foreign_key, article(), now)?
        },
        Scene {
            title: "The echo",
            plot: "sends the first request once more, as it was",
            expected: Error::ReplayDetected.name(),
            headers: repeated,
            ..visit(&stage.key, article(), now)?
        },
        Scene {
            title: "The latecomer",
            plot: "was signed ten minutes ago",
            expected: Error::TimestampStale.name(),
            ..visit(&stage.key, article(), now.saturating_sub(LATE_MS))?
        },
        Scene {
            title: "The stray",
            plot: "was signed for another page",
            expected: Error::ResourceMismatch.name(),
            ..visit(&stage.key, stage.page("/articles/1"), now)?
        },
    ])
}

impl<'s> Scene<'s> {
    fn new(
        stage: &'s Stage,
        key: &'s KeyPair,
        url: String,
        signed_url: String,
        at: UnixMillis,
    ) -> Result<Self, Failure> {
        let claims = Claims {
            agent_id: &stage.agent_id,
            resource: "",
            purpose: Purpose::RagRetrieval,
            ads_displayed: false,
        };
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
            expected: "OK",
        })
    }
}
