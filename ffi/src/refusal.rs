//! What a refused client is told.

use imagxp_core::{Error, Policy, Refusal};

use crate::memory::{Input, disjoint};
use crate::out::Text;
use crate::policy;
use crate::status::{OK, answer};
use crate::types::*;
use crate::verdict;

/// Writes the body of a refusal, `application/json`, at most 128 bytes: the public code, the visitor, and the proof where
/// there is one. `verified` is what `imagxp_request_admit` was called with, if it was that call that refused; else
/// NULL: one that `imagxp_request_verify` left with `IMAGXP_NEED` is not verified. `needed`, which may be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: `status` is not a refusal; `ABI_STATE`: not a policy, or `verified` is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_refusal_write(
    status: imagxp_status,
    policy: *const imagxp_policy,
    verified: *const imagxp_verified,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let (policy, out) = (policy::input(policy)?, Text::new(out, needed)?);
        let verified = if verified.is_null() { None } else { Some(Input::sized(verified)?) };
        disjoint(&out.regions(), &[policy.region()])?;
        // SAFETY: checked, and apart from the outputs.
        let policy = Policy::attach(unsafe { policy.slice() })?;
        let error = Error::from_number(status).ok_or(Error::AbiArgument)?;
        let refusal = match verified {
            None => Refusal::new(error, &policy),
            Some(verified) => {
                disjoint(&out.regions(), &[verified.region()])?;
                // SAFETY: checked, and apart from the outputs.
                Refusal::at_admission(error, &verdict::grant(&unsafe { verified.read() })?, &policy)
            }
        };
        let mut body = [0; 128];
        // SAFETY: checked.
        unsafe { out.put(refusal.body(&mut body)?.as_bytes())? };
        Ok(OK)
    })
}
