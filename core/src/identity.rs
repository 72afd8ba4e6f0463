//! Whose request it is: the key's owner by the manifest, and the signature (threats.md ORD-8 to ORD-10).

use crate::Error;
use crate::canonical;
use crate::claims::Payload;
use crate::inverted::Inverted;
use crate::jose::jws;
use crate::key::{Digest, PublicKey};
use crate::key_cache::{Agent, KeyId, Keys, Known};
use crate::need::Need;
use crate::policy::Policy;
use crate::signed::Signed;
use crate::time::UnixMillis;
use crate::visitor::Visitor;

/// Who signed, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'r> {
    pub(crate) visitor: Visitor,
    /// The SHA-256 of the manifest that lists the key.
    pub(crate) manifest: Option<Digest>,
    /// The key's thumbprint.
    pub(crate) thumbprint: Digest,
    /// The manifest is due to be fetched anew, behind the visitor's back.
    pub(crate) refresh: Option<Need<'r>>,
    /// The key to prepare if the agent turns out to be busy.
    pub(crate) prepare: Option<KeyId>,
    /// The signature of the token that came along, ready for its check.
    pub(crate) token: Option<Inverted>,
}

/// An identity, or the manifest that it takes.
#[expect(clippy::large_enum_variant, reason = "the large one is the ordinary one, and there is no heap")]
pub(crate) enum Step<'r> {
    Need(Need<'r>),
    Known(Identity<'r>),
}

/// What the cache says about agent and key, before any arithmetic.
enum Standing<'m> {
    /// The manifest publishes the key.
    Bound { agent: Agent<'m>, id: KeyId, thumbprint: Digest },
    /// Only the manifest can tell, and it may be fetched: but not before the signature is known to be good.
    Ask,
    /// It is not, or was a moment ago not, the agent's key.
    Unbound(Error),
}

/// Checks key and signature: one signature check at most, none where the cache already refuses. `token` is the text of the
/// token that may be next: nothing of it is judged here, but its signature is made ready along with the request's.
pub(crate) fn check<'r>(
    signed: &'r Signed<'_>,
    payload: &Payload<'_>,
    key: &PublicKey,
    token: &[u8],
    policy: &Policy<'_>,
    keys: &Keys<'_>,
    now: UnixMillis,
) -> Result<Step<'r>, Error> {
    let now_s = u64::try_from(now.s()).map_err(|_| Error::ClockUnknown)?;
    let known = keys.agent(payload.claims.agent_id, policy.requires_fresh(), now_s);
    let standing = standing(known, key, now_s);
    if let Standing::Unbound(error) = standing {
        // A revoked key is nobody's, not even a stranger's.
        if policy.requires_identity() || error == Error::KeyRevoked {
            return Err(error);
        }
    }
    let table = match &standing {
        Standing::Bound { agent, id, .. } => agent.table(*id),
        _ => None,
    };
    let (signature, token) = invert(signed.signature(), jws::signature_of(token));
    keys.verify(key, table, &canonical::digest(&signed.document())?, &signature)?;

    let need = || Need::manifest(signed.manifest_url()).ok_or(Error::AgentIdInvalid);
    match standing {
        Standing::Ask => need().map(Step::Need),
        Standing::Unbound(_) => {
            let visitor = Visitor::UnidentifiedBot;
            let thumbprint = key.thumbprint();
            Ok(Step::Known(Identity { visitor, manifest: None, thumbprint, refresh: None, prepare: None, token }))
        }
        Standing::Bound { agent, id, thumbprint } => {
            let refresh = if agent.lives().wants_refresh(now_s) { Some(need()?) } else { None };
            let prepare = keys.wants_table(key, table, now_s).then_some(id);
            Ok(Step::Known(Identity {
                visitor: Visitor::VerifiedAgent,
                manifest: Some(agent.digest()),
                thumbprint,
                refresh,
                prepare,
                token,
            }))
        }
    }
}

fn invert(signature: &[u8; 64], token: Option<[u8; 64]>) -> (Inverted, Option<Inverted>) {
    match token {
        Some(token) => {
            let [signature, token] = Inverted::of_both(signature, &token);
            (signature, Some(token))
        }
        None => (Inverted::of(signature), None),
    }
}

fn standing<'m>(known: Known<'m>, key: &PublicKey, now_s: u64) -> Standing<'m> {
    let agent = match known {
        Known::Nothing => return Standing::Ask,
        Known::Refused(error, before) => {
            let revoked = before.is_some_and(|agent| agent.has_revoked(key, now_s));
            return Standing::Unbound(if revoked { Error::KeyRevoked } else { error });
        }
        Known::Agent(agent) => agent,
    };
    let error = match agent.find(key) {
        Some(found) => match found.key.check(now_s) {
            Ok(()) => return Standing::Bound { agent, id: found.id, thumbprint: found.thumbprint },
            Err(Error::KeyRevoked) => return Standing::Unbound(Error::KeyRevoked),
            Err(error) => error,
        },
        None if agent.has_revoked(key, now_s) => return Standing::Unbound(Error::KeyRevoked),
        // The last refresh failed: it is not known whether the key is the agent's.
        None => agent.lives().failure().unwrap_or(Error::KeyMismatch),
    };
    // Perhaps the agent has changed its keys: the manifest decides, once per 30 s.
    if agent.lives().may_refresh(now_s) { Standing::Ask } else { Standing::Unbound(error) }
}
