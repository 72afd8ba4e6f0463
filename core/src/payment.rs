//! Whether the request is paid for: by a visa, by the host's whitelist, or by an ad proof, in this order; the first that
//! holds admits (protocol.md section 6).

use crate::Error;
use crate::claims::Payload;
use crate::headers::Headers;
use crate::identity::Identity;
use crate::key::Kid;
use crate::key_cache::Keys;
use crate::need::Need;
use crate::policy::{Policy, Role};
use crate::time::UnixMillis;
use crate::visa::{self, Holder, Token, TokenStep};
use crate::visitor::{Visitor, vouched::WHITELISTED};

/// What a request was paid with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Proof {
    /// Nothing: the policy does not ask.
    None = 0,
    /// A visa.
    Visa = 1,
    /// The host's whitelist.
    Whitelist = 2,
    /// An ad proof.
    AdProof = 3,
}

impl Proof {
    /// The name as the wire shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Visa => "VISA",
            Self::Whitelist => "WHITELIST",
            Self::AdProof => "AD_PROOF",
        }
    }
}

/// The proof, and the token if it was one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paid<'r> {
    pub(crate) proof: Proof,
    pub(crate) token: Option<Token<'r>>,
}

/// A payment, or the key set that it takes to see it.
#[expect(clippy::large_enum_variant, reason = "the large one is the ordinary one, and there is no heap")]
pub(crate) enum Step<'r> {
    Need(Need<'r>),
    Paid(Paid<'r>),
}

/// Checks what the policy asks for: at most one signature check a token.
pub(crate) fn check<'r>(
    headers: &Headers<'_>,
    vouched: u32,
    payload: &Payload<'_>,
    identity: &Identity<'_>,
    policy: &Policy<'r>,
    keys: &Keys<'_>,
    now: UnixMillis,
) -> Result<Step<'r>, Error> {
    if !policy.requires_payment() {
        return Ok(Step::Paid(Paid { proof: Proof::None, token: None }));
    }
    // An agent that is not verified holds no name: a visa bound to one is not its own.
    let agent_id = if identity.visitor == Visitor::VerifiedAgent { payload.claims.agent_id } else { "" };
    let holder = Holder { agent_id, key: Kid::from_thumbprint(&identity.thumbprint) };
    let token = |text, role| visa::verify_with(text, role, Some(holder), identity.token.as_ref(), policy, keys, now);

    let credential = headers.credential();
    let refusal = match credential {
        [] => Error::VisaRequired,
        _ => match token(credential, Role::Broker).and_then(|step| single_use(step, policy)) {
            Ok(step) => return Ok(paid(step, Proof::Visa)),
            Err(error) => error,
        },
    };
    // The host vouches for a name: that is worth something only once the name is proven.
    if vouched & WHITELISTED != 0 && identity.visitor == Visitor::VerifiedAgent {
        return Ok(Step::Paid(Paid { proof: Proof::Whitelist, token: None }));
    }
    let proof = headers.proof();
    let shown = policy.admits_ads() && payload.claims.ads_displayed && !proof.is_empty();
    match shown.then(|| token(proof, Role::AdNetwork)) {
        Some(Ok(step)) => Ok(paid(step, Proof::AdProof)),
        _ => Err(refusal),
    }
}

/// A visa that is good for one request must have a `jti` to be known by.
fn single_use<'r>(step: TokenStep<'r>, policy: &Policy<'_>) -> Result<TokenStep<'r>, Error> {
    match step {
        TokenStep::Verified(token) if policy.visa_single_use() && token.jti.is_none() => Err(Error::JwtClaims),
        step => Ok(step),
    }
}

fn paid(step: TokenStep<'_>, proof: Proof) -> Step<'_> {
    match step {
        TokenStep::Need(need) => Step::Need(need),
        TokenStep::Verified(token) => Step::Paid(Paid { proof, token: Some(token) }),
    }
}
