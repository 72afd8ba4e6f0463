//! What a refused client is told: a status, a small body, and with a 402 where to pay (protocol.md section 6).

use crate::codec::writer::write_whole;
use crate::money::{self, Decimal};
use crate::payment::Proof;
use crate::policy::Policy;
use crate::verdict::Grant;
use crate::visitor::Visitor;
use crate::{Error, spec};

/// The answer to a refused request.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'p> {
    error: Error,
    visitor: Visitor,
    proof: Option<Proof>,
    policy: Policy<'p>,
}

/// With a 402: where to pay, and how much.
#[derive(Clone, Debug)]
pub struct Hints<'p> {
    /// The broker's URL for `x-imagxp-broker`; empty if the policy names none: send no header then.
    pub broker: &'p str,
    /// The price for `x-imagxp-price`; none if any amount is good.
    pub price: Option<Decimal>,
}

impl<'p> Refusal<'p> {
    /// The answer to a request that `parse` or `verify` refused.
    ///
    /// The visitor is a verified agent where the code says that identity stood: policy, payment and replay are judged
    /// behind it. Under a policy that lets strangers pass that conclusion does not hold, and it is an unidentified bot.
    #[must_use]
    pub fn new(error: Error, policy: &Policy<'p>) -> Self {
        let identified = policy.requires_identity() && is_behind_identity(error);
        let visitor = if identified { Visitor::VerifiedAgent } else { Visitor::UnidentifiedBot };
        // Payment was asked for, and there was none.
        let proof = (error == Error::VisaRequired).then_some(Proof::None);
        Self { error, visitor, proof, policy: *policy }
    }

    /// The answer to a request that `admit` refused, with what `verify` had found.
    #[must_use]
    pub fn at_admission(error: Error, grant: &Grant<'_>, policy: &Policy<'p>) -> Self {
        Self { error, visitor: grant.visitor, proof: Some(grant.proof), policy: *policy }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.error.status()
    }

    /// Who was refused.
    #[must_use]
    pub const fn visitor(&self) -> Visitor {
        self.visitor
    }

    /// What it would have been paid with, where the body says so.
    #[must_use]
    pub const fn proof(&self) -> Option<Proof> {
        self.proof
    }

    /// Seconds for `Retry-After`, if time alone can mend it.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u32> {
        self.error.retry_after_s()
    }

    /// Where to pay: with a 402 only.
    #[must_use]
    pub fn hints(&self) -> Option<Hints<'p>> {
        if self.status() != Error::VisaRequired.status() {
            return None;
        }
        let price = Some(self.policy.price()).filter(|price| *price > 0).map(money::decimal);
        Some(Hints { broker: self.policy.broker_url(), price })
    }

    /// Writes the body, `application/json`: the public code, the visitor, and the proof where there is one. 128 bytes
    /// always suffice ([`spec::refusal::BODY_MAX`]). Nothing in it is the client's own text.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn body<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Error> {
        write_whole(out, |writer| {
            writer.text("{\"error\":\"");
            writer.text(self.error.public().name());
            writer.text("\",\"visitor_type\":\"");
            writer.text(self.visitor.name());
            if let Some(proof) = self.proof {
                writer.text("\",\"proof_used\":\"");
                writer.text(proof.name());
            }
            writer.text("\"}");
            Ok(())
        })
    }
}

impl Hints<'_> {
    /// Name and value of each header to send.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let price = self.price.as_ref().map_or("", Decimal::as_str);
        let hints = [(spec::header::BROKER, self.broker), (spec::header::PRICE, price)];
        hints.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

impl Error {
    /// Whether a key or a signature was checked before this was found: such a message costs as much each time that it is
    /// sent, so a host charges its client for it (threats.md section 5). Not what this site alone is to blame for: a
    /// restart, a store that is full or does not answer.
    #[must_use]
    pub const fn is_behind_signature(self) -> bool {
        match self {
            Self::RestartGuard | Self::ReplayCacheFull | Self::ReplayStoreDown => false,
            // A document is wanted only where the signature is good.
            Self::KeyInvalid | Self::SignatureInvalid | Self::IdentityPending => true,
            _ => is_behind_identity(self),
        }
    }
}

/// Whether the check that gives this code comes after signature and identity (threats.md ORD-11 and ORD-12).
pub(crate) const fn is_behind_identity(error: Error) -> bool {
    is_of_replay(error) || is_of_payment(error) || matches!(error, Error::PurposeRefused)
}

/// The codes of `admit`; a visa used twice is one of payment.
pub(crate) const fn is_of_replay(error: Error) -> bool {
    matches!(
        error,
        Error::ReplayDetected
            | Error::RestartGuard
            | Error::ReplayCacheFull
            | Error::AgentQuota
            | Error::ReplayStoreDown
    )
}

/// The codes of the payment check, but `SIGNATURE_INVALID`, which the request's own signature may have.
pub(crate) const fn is_of_payment(error: Error) -> bool {
    matches!(
        error,
        Error::VisaRequired
            | Error::VisaUnpaid
            | Error::VisaAmount
            | Error::VisaBinding
            | Error::VisaUsed
            | Error::JwtFormat
            | Error::JwtHeader
            | Error::JwtAlg
            | Error::JwtKeyUnknown
            | Error::JwtIssuer
            | Error::JwtAudience
            | Error::JwtExpired
            | Error::JwtNotYet
            | Error::JwtLifetime
            | Error::JwtClaims
            | Error::JwtSubject
            | Error::JwksUnavailable
            | Error::JwksTooLarge
            | Error::JwksInvalid
            | Error::JwksDuplicateKid
            | Error::JwkPrivateExposed
    )
}
