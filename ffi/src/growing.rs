//! The structs that may grow, and what each was in the first release.

use crate::memory::Growing;
use crate::types::*;

/// Nothing has been added to any of them yet: ffi/tests/layout.txt is the first release.
macro_rules! as_first_released {
    ($($name:ident)*) => {
        // SAFETY: `repr(C)`, of integers, pointers and structs of them, `size: usize` first.
        $(unsafe impl Growing for $name {})*
    };
}

as_first_released! {
    imagxp_claims imagxp_decision imagxp_feedback imagxp_findings imagxp_judgement imagxp_log imagxp_manifest
    imagxp_packed imagxp_provenance imagxp_record imagxp_replay_stats imagxp_sale imagxp_sent imagxp_signed imagxp_terms
    imagxp_token imagxp_unproven imagxp_verified imagxp_visa imagxp_visit
}
