//! The core allocates nothing, whatever comes: every call of a request's way runs under an allocator that counts.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use imagxp::{Answer, KeyCache, Keys, Policy, ReplayCache, Request, SignedHeaders, Signing, Step};
use support::{AGENT, NOW, OPEN, Site, claims, key, manifest, signed, visit};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test, so that no other thread allocates meanwhile.
#[test]
fn a_request_is_signed_verified_and_admitted_without_allocation() {
    let pair = key(7);
    let (lines, document) = (signed(&pair, &claims(), 1, NOW), manifest(AGENT, &pair));
    let mut site = Site::new(OPEN);
    let visit = visit(&lines, "/a?b=c").unwrap();
    let policy_json = OPEN.as_bytes();
    let (mut scratch, mut out) = ([0; Request::SCRATCH], [0; SignedHeaders::BYTES_MAX]);

    let before = ALLOCATIONS.load(Ordering::Relaxed);
    imagxp::sign_request(&pair, &claims(), &[2; 16], NOW, Signing { hedge: &[3; 32], check: true }, &mut out).unwrap();
    Policy::parse(policy_json, &mut site.policy).unwrap();
    let policy = Policy::attach(&site.policy).unwrap();
    let request = Request::parse(&visit, &mut scratch).unwrap();
    let Ok(Step::Need(need)) = request.verify(&policy, &Keys::attach(&site.keys).unwrap(), NOW) else {
        panic!("the manifest is wanted first")
    };
    let mut keys = KeyCache::attach(&mut site.keys).unwrap();
    keys.supply(&need, Answer::Found { body: &document, max_age_s: Some(60) }, NOW).unwrap();
    let Ok(Step::Verified(verified)) = request.verify(&policy, &keys.read(), NOW) else { panic!("verified") };
    let id = verified.grant().prepare;
    verified.admit(&mut ReplayCache::attach(&mut site.replay).unwrap(), NOW).unwrap();
    if let Some(id) = id {
        keys.prepare(id, NOW).unwrap();
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before);
}
