//! How a request was decided, read from what the host kept of it.

use imagxp_core::story::{Fetch, Missing};
use imagxp_core::{Error, Grant, Kind, Need, UnixMillis};

use crate::memory::{Region, read_array, read_sized, read_str};
use crate::status::{OK, VERIFIED};
use crate::types::*;
use crate::verdict;

/// Documents that a decision may rest on.
const FETCHES: usize = imagxp_core::spec::evidence::DOCUMENTS_MAX;

/// A decision, read, apart from the outputs of the call.
pub(crate) struct Decision<'a> {
    /// As much of the grant as the numbers tell, or the refusal.
    pub(crate) verdict: Result<Grant<'static>, Error>,
    /// What `imagxp_request_verify` found, if it found anything.
    pub(crate) found: Option<imagxp_verified>,
    pub(crate) received: UnixMillis,
    pub(crate) decided: UnixMillis,
    pub(crate) fetches: &'a [imagxp_fetch],
}

impl<'a> Decision<'a> {
    /// # Errors
    /// `ABI_ARGUMENT`: the status is neither `IMAGXP_OK` nor a refusal, or there are more than four fetches; `ABI_STATE`:
    /// it is `IMAGXP_OK`, and `verified` is not verified.
    pub(crate) fn read(
        decision: *const imagxp_decision,
        verified: *const imagxp_verified,
        outputs: &[Region],
    ) -> Result<Self, Error> {
        let decision = read_sized(decision, outputs)?;
        let found = if verified.is_null() { None } else { Some(read_sized(verified, outputs)?) };
        // One that was admitted, or whom a store elsewhere admitted, or that was refused at admission.
        let found = found.filter(|found| found.status == VERIFIED || found.status == OK);
        let verdict = match decision.status {
            OK => Ok(verdict::grant(&found.ok_or(Error::AbiState)?)?),
            status => Err(Error::from_number(status).ok_or(Error::AbiArgument)?),
        };
        let fetches = read_array(decision.fetches, decision.fetches_len, outputs)?;
        if decision.reserved != 0 || fetches.len() > FETCHES {
            return Err(Error::AbiArgument);
        }
        let (received, decided) = (UnixMillis::from_ms(decision.received_ms), UnixMillis::from_ms(decision.decided_ms));
        Ok(Self { verdict, found, received, decided, fetches })
    }

    /// The fetches, for the story: written into `memory`.
    pub(crate) fn fetches<'m>(
        &self,
        memory: &'m mut [Fetch<'a>; FETCHES],
        outputs: &[Region],
    ) -> Result<&'m [Fetch<'a>], Error> {
        for (place, fetch) in memory.iter_mut().zip(self.fetches) {
            *place = read_fetch(fetch, outputs)?;
        }
        Ok(memory.get(..self.fetches.len()).unwrap_or_default())
    }

    /// Memory for [`Self::fetches`].
    pub(crate) fn no_fetches() -> [Fetch<'a>; FETCHES] {
        let need = Need { kind: Kind::Manifest, url: "", host: "", configured: false, max_len: 0 };
        let never = UnixMillis::EPOCH;
        [Fetch { need, asked: never, answered: never, found: Err(Missing::NotThere) }; FETCHES]
    }
}

fn read_fetch<'a>(fetch: &imagxp_fetch, outputs: &[Region]) -> Result<Fetch<'a>, Error> {
    let kind = match fetch.kind {
        IMAGXP_NEED_MANIFEST => Kind::Manifest,
        IMAGXP_NEED_JWKS => Kind::Jwks,
        _ => return Err(Error::AbiArgument),
    };
    let found = match fetch.found {
        IMAGXP_FOUND => Ok(usize::try_from(fetch.len).map_err(|_| Error::AbiLength)?),
        IMAGXP_NOT_THERE => Err(Missing::NotThere),
        IMAGXP_UNREACHABLE => Err(Missing::Unreachable),
        _ => return Err(Error::AbiArgument),
    };
    let url = read_str(fetch.url, outputs, Error::AbiArgument)?;
    let need = Need { kind, url, host: "", configured: kind == Kind::Jwks, max_len: 0 };
    let (asked, answered) = (UnixMillis::from_ms(fetch.asked_ms), UnixMillis::from_ms(fetch.answered_ms));
    Ok(Fetch { need, asked, answered, found })
}
