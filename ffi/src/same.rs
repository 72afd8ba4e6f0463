//! The numbers of the header are those of the core: compared when this is compiled.

use imagxp_core::feedback::{Outcome, Reason};
use imagxp_core::provenance::Origin;
use imagxp_core::visitor::vouched;
use imagxp_core::{Bound, Proof, Purpose, Visitor};

use crate::types::*;

macro_rules! same {
    ($($ours:ident == $theirs:expr;)*) => { $(const _: () = assert!($ours as i64 == $theirs as i64);)* };
}

same! {
    IMAGXP_VERIFIED_AGENT == Visitor::VerifiedAgent;
    IMAGXP_LIKELY_HUMAN == Visitor::LikelyHuman;
    IMAGXP_UNIDENTIFIED_BOT == Visitor::UnidentifiedBot;
    IMAGXP_CRAWL_TRAINING == Purpose::CrawlTraining;
    IMAGXP_RAG_RETRIEVAL == Purpose::RagRetrieval;
    IMAGXP_SUMMARY == Purpose::Summary;
    IMAGXP_QUOTATION == Purpose::Quotation;
    IMAGXP_EMBEDDING == Purpose::Embedding;
    IMAGXP_BOUND_NOTHING == Bound::Nothing;
    IMAGXP_BOUND_AUTHORITY == Bound::Authority;
    IMAGXP_BOUND_EXACT == Bound::Exact;
    IMAGXP_PROOF_NONE == Proof::None;
    IMAGXP_PROOF_VISA == Proof::Visa;
    IMAGXP_PROOF_WHITELIST == Proof::Whitelist;
    IMAGXP_PROOF_AD == Proof::AdProof;
    IMAGXP_ORIGIN_HUMAN == Origin::Human;
    IMAGXP_ORIGIN_SYNTHETIC == Origin::Synthetic;
    IMAGXP_ORIGIN_HYBRID == Origin::Hybrid;
    IMAGXP_REASON_SEO_SPAM == Reason::SeoSpam;
    IMAGXP_REASON_INACCURATE == Reason::Inaccurate;
    IMAGXP_REASON_HATE_SPEECH == Reason::HateSpeech;
    IMAGXP_REASON_HIGH_QUALITY == Reason::HighQuality;
    IMAGXP_REASON_LOW_QUALITY_SPAM == Reason::LowQualitySpam;
    IMAGXP_OUTCOME_RELEASE == Outcome::Release;
    IMAGXP_OUTCOME_WITHHOLD == Outcome::Withhold;
    IMAGXP_OUTCOME_UNCHANGED == Outcome::Unchanged;
    IMAGXP_VOUCHED_CLOUDFLARE == vouched::CLOUDFLARE;
    IMAGXP_VOUCHED_VERCEL == vouched::VERCEL;
    IMAGXP_VOUCHED_CLOUDFRONT == vouched::CLOUDFRONT;
    IMAGXP_VOUCHED_WHITELISTED == vouched::WHITELISTED;
}
