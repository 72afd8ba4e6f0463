//! The loop of a host with threads: one immutable key cache behind a pointer; whoever has news clones it, supplies, and
//! swaps; one replay cache behind a mutex that is held for `admit` only. Each request is admitted once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use imagxp::key_cache::Sizes;
use imagxp::{
    Answer, Claims, Error, Headers, KeyCache, KeyPair, Keys, Manifest, Need, Policy, Purpose, ReplayCache, Request,
    SignedHeaders, Signing, Step, UnixMillis, Visit, sign_request, write_manifest,
};

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
const THREADS: usize = 8;
const REQUESTS: u8 = 100;
const SIZES: Sizes = Sizes { names: 64, issuers: 1, tables: 2, ..Sizes::EMBEDDED };

struct Server {
    policy: Vec<u64>,
    /// Readers take a reference and are done with the lock.
    keys: RwLock<Arc<Vec<u64>>>,
    writing: Mutex<()>,
    replay: Mutex<Vec<u64>>,
    manifest: String,
    fetches: AtomicU32,
}

type Lines = Vec<(&'static str, String)>;

impl Server {
    fn decide(&self, lines: &Lines) -> Result<(), Error> {
        let mut headers = Headers::new();
        lines.iter().try_for_each(|(name, value)| headers.add(name.as_bytes(), value.as_bytes()))?;
        let visit =
            Visit { method: "GET", scheme: "https", authority: "pub.example.com", target: "/a", vouched: 0, headers };
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(&visit, &mut scratch)?;
        let policy = Policy::attach(&self.policy)?;
        loop {
            let snapshot = Arc::clone(&self.keys.read().unwrap());
            let verified = match request.verify(&policy, &Keys::attach(&snapshot)?, NOW)? {
                Step::Need(need) => {
                    self.learn(&need)?;
                    continue;
                }
                Step::Verified(verified) => verified,
            };
            let mut replay = self.replay.lock().unwrap();
            let grant = verified.admit(&mut ReplayCache::attach(&mut replay)?, NOW)?;
            drop(replay);
            if let Some(id) = grant.prepare {
                self.change(|cache| cache.prepare(id, NOW).map(|_| ()))?;
            }
            return Ok(());
        }
    }

    fn learn(&self, need: &Need<'_>) -> Result<(), Error> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::Found { body: self.manifest.as_bytes(), max_age_s: None };
        self.change(|cache| cache.supply(need, answer, NOW))
    }

    /// Clone, write, swap: one writer at a time, and no reader sees a cache that is being written.
    fn change(&self, write: impl FnOnce(&mut KeyCache<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let _one = self.writing.lock().unwrap();
        let mut clone = Vec::clone(&self.keys.read().unwrap());
        write(&mut KeyCache::attach(&mut clone)?)?;
        *self.keys.write().unwrap() = Arc::new(clone);
        Ok(())
    }
}

fn server(key: &KeyPair) -> Server {
    let mut policy = vec![0; Policy::WORDS];
    Policy::parse(br#"{"allowRAG":true}"#, &mut policy).unwrap();
    let mut keys = vec![0; KeyCache::words(&SIZES)];
    KeyCache::new(&mut keys, &SIZES, &[1; 32]).unwrap();
    let mut replay = vec![0; ReplayCache::words(4_096)];
    ReplayCache::new(&mut replay, &[2; 32], UnixMillis::EPOCH).unwrap();
    let public_key = key.public();
    let manifest = Manifest { agent_id: "bot.example.com", public_key, contact_email: None, keys: &[], revoked: &[] };
    Server {
        policy,
        keys: RwLock::new(Arc::new(keys)),
        writing: Mutex::new(()),
        replay: Mutex::new(replay),
        manifest: write_manifest(&manifest, &mut [0; 1_024]).unwrap().to_owned(),
        fetches: AtomicU32::new(0),
    }
}

fn request(key: &KeyPair, number: u8) -> Lines {
    let resource = "https://pub.example.com/a";
    let claims = Claims { agent_id: "bot.example.com", resource, purpose: Purpose::RagRetrieval, ads_displayed: false };
    let mut out = [0; SignedHeaders::BYTES_MAX];
    let signed = sign_request(key, &claims, &[number; 16], NOW, Signing::default(), &mut out).unwrap();
    signed.iter().map(|(name, value)| (name, value.to_owned())).collect()
}

#[test]
fn each_request_is_admitted_once() {
    let key = KeyPair::from_random(&[7; 32]).unwrap();
    let (server, requests) = (server(&key), (0..REQUESTS).map(|n| request(&key, n)).collect::<Vec<_>>());
    let admitted: Vec<AtomicU32> = requests.iter().map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (lines, admitted) in requests.iter().zip(&admitted) {
                    match server.decide(lines) {
                        Ok(()) => _ = admitted.fetch_add(1, Ordering::Relaxed),
                        Err(error) => assert_eq!(error, Error::ReplayDetected),
                    }
                }
            });
        }
    });
    assert!(admitted.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    assert!((1..=THREADS as u32).contains(&server.fetches.load(Ordering::Relaxed)));
}
