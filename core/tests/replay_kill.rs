//! REP-7: a process that is killed while it admits, at whatever moment, leaves every slot free or whole and forgets
//! nothing it answered.
//!
//! Two proofs. One kills children (SIGKILL) at random moments while they admit into a shared file mapping under a lock
//! that the kernel releases. The other stops a child after every single machine instruction of an admission and looks
//! at what a kill would have left there.
#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use imagxp::Error;
use imagxp::replay_cache::{Admitted, Entry, ReplayCache, Tag, VisaUse, jti_tag, nonce_tag};
use imagxp::time::UnixMillis;
use memmap2::MmapMut;

const SEED: [u8; 32] = [7; 32];
const T0: i64 = 1_771_850_000_000;
const WINDOW_MS: u32 = 300_000;
/// Words before the cache in the mapping: what a child tells its parent.
const NOTES: usize = 8;
const ATTEMPTED: usize = 0;
const ACKNOWLEDGED: usize = 1;
const FAILED: usize = 2;

/// A file mapped into this process and its children: notes, then the cache.
struct Shared {
    path: PathBuf,
    file: File,
    map: MmapMut,
}

impl Shared {
    fn new(name: &str, slots: usize) -> Self {
        let path = std::env::temp_dir().join(format!("imagxp-{name}-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.set_len(8 * (NOTES + ReplayCache::words(slots)) as u64).unwrap();
        // SAFETY: the file is ours alone; children write to it under the lock only.
        let map = unsafe { MmapMut::map_mut(&file) }.unwrap();
        let mut shared = Self { path, file, map };
        ReplayCache::new(shared.cache(), &SEED, UnixMillis::from_ms(0)).unwrap();
        shared
    }

    fn words(&mut self) -> &mut [u64] {
        // SAFETY: every bit pattern is a u64, and a mapping begins at a page.
        let (before, words, after) = unsafe { self.map.align_to_mut::<u64>() };
        assert!(before.is_empty() && after.is_empty());
        words
    }

    fn cache(&mut self) -> &mut [u64] {
        &mut self.words()[NOTES..]
    }

    fn note(&mut self, note: usize) -> &AtomicU64 {
        // SAFETY: aligned, in the mapping, and accessed as an atomic only.
        unsafe { AtomicU64::from_ptr(&raw mut self.words()[note]) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Request number `n` of `round`, made without allocation: a child of a process with threads may not allocate.
struct Numbered {
    agent: [u8; 13],
    nonce: [u8; 22],
    now: i64,
}

impl Numbered {
    fn new(round: u64, n: u64) -> Self {
        let mut it =
            Self { agent: *b"bot.a-000.com", nonce: *b"nonce-0000000000000000", now: T0 + round as i64 * 61_000 };
        digits(&mut it.agent[6..9], n % 100);
        digits(&mut it.nonce[6..14], round);
        digits(&mut it.nonce[14..], n);
        it
    }

    fn agent(&self) -> &str {
        str::from_utf8(&self.agent).unwrap()
    }

    fn nonce(&self) -> &str {
        str::from_utf8(&self.nonce).unwrap()
    }

    fn tag(&self) -> Tag {
        nonce_tag(&SEED, self.agent(), self.nonce(), UnixMillis::from_ms(self.now), WINDOW_MS)
    }

    fn admit(&self, cache: &mut [u64]) -> Result<Admitted, Error> {
        let now = UnixMillis::from_ms(self.now);
        let entry = Entry { agent_id: self.agent(), nonce: self.nonce(), ts: now, window_ms: WINDOW_MS, visa: None };
        ReplayCache::attach(cache)?.admit(&entry, now)
    }
}

fn digits(out: &mut [u8], mut n: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

/// Runs `child` in a forked process; returns its id.
fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child neither allocates nor takes a lock of this process, and it ends in `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            child();
            // SAFETY: as above.
            unsafe { libc::_exit(0) }
        }
        pid => {
            assert!(pid > 0, "fork");
            pid
        }
    }
}

fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `pid` is our child, `status` ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// Admits until killed, each time under the lock, or under one lock all the while.
fn admit_for_ever(shared: &mut Shared, path: &CString, round: u64, one_lock: bool) {
    // A descriptor of its own: a lock belongs to it, and ends with the process.
    // SAFETY: a C string; flags without a mode.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_RDWR) };
    let flock = |operation| {
        // SAFETY: an open descriptor.
        assert_eq!(unsafe { libc::flock(file, operation) }, 0);
    };
    for n in 1.. {
        if !one_lock || n == 1 {
            flock(libc::LOCK_EX);
        }
        shared.note(ATTEMPTED).store(n, Ordering::SeqCst);
        let outcome = Numbered::new(round, n).admit(shared.cache());
        let note = if outcome.is_ok() { ACKNOWLEDGED } else { FAILED };
        shared.note(note).store(n, Ordering::SeqCst);
        if !one_lock {
            flock(libc::LOCK_UN);
        }
    }
}

/// Every entry that has not expired is one that was written, whole, and lies there once.
fn assert_whole(memory: &mut [u64], known: &HashMap<[u8; 16], u32>, now_s: u32) {
    let mut seen = HashMap::new();
    for tag in ReplayCache::attach(memory).unwrap().entries().filter(|tag| tag.expiry_s > now_s) {
        assert_eq!(known.get(&tag.bytes), Some(&tag.expiry_s), "a slot that is neither free nor whole");
        assert_eq!(seen.insert(tag.bytes, ()), None, "an entry lies there twice");
    }
}

/// `IMAGXP_KILLS` sets how many.
#[test]
fn killed_at_random_moments() {
    let kills: u64 = std::env::var("IMAGXP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut shared = Shared::new("kill", 1 << 17);
    let path = CString::new(shared.path.as_os_str().as_bytes()).unwrap();
    let (mut known, mut total, mut cut) = (HashMap::new(), 0, 0);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..kills {
        for note in [ATTEMPTED, ACKNOWLEDGED, FAILED] {
            shared.note(note).store(0, Ordering::SeqCst);
        }
        let pid = fork(|| admit_for_ever(&mut shared, &path, round, round % 2 == 1));
        while shared.note(ATTEMPTED).load(Ordering::SeqCst) == 0 {
            std::hint::spin_loop();
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (start, delay) = (Instant::now(), Duration::from_nanos(random % 1_500_000));
        while start.elapsed() < delay {
            std::hint::spin_loop();
        }
        // SAFETY: our child.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        assert!(libc::WIFSIGNALED(wait(pid)), "the child ended by itself");
        shared.file.try_lock().expect("the kernel has released the lock");
        let [attempted, acknowledged, failed] =
            [ATTEMPTED, ACKNOWLEDGED, FAILED].map(|note| shared.note(note).load(Ordering::SeqCst));
        assert_eq!(failed, 0, "round {round}: request {failed} was refused");
        assert!(attempted - acknowledged <= 1);
        (total, cut) = (total + acknowledged, cut + attempted - acknowledged);
        let now_s = u32::try_from(Numbered::new(round, 0).now / 1_000).unwrap();
        known.retain(|_, expiry_s| *expiry_s > now_s);
        known.extend((1..=attempted).map(|n| Numbered::new(round, n).tag()).map(|tag| (tag.bytes, tag.expiry_s)));
        assert_whole(shared.cache(), &known, now_s);
        for n in 1..=acknowledged {
            let again = Numbered::new(round, n).admit(shared.cache());
            assert_eq!(again, Err(Error::ReplayDetected), "round {round}, request {n} was acknowledged");
        }
        shared.file.unlock().unwrap();
    }
    println!("{kills} kills, {total} admissions acknowledged, {cut} cut short");
}

/// What the child of [`stopped_after_every_instruction`] does while it is watched.
struct Watched<'a> {
    name: &'a str,
    entry: Entry<'a>,
    now: i64,
}

#[test]
fn stopped_after_every_instruction() {
    // One bucket, in which entries have expired, so that a slot is reused; then also with a visa.
    let mut shared = Shared::new("step", 16);
    let mut known = HashMap::new();
    let mut remember = |tag: Tag| known.insert(tag.bytes, tag.expiry_s);
    for round in [0, 10] {
        for n in 0..7 {
            let request = Numbered::new(round, n);
            request.admit(shared.cache()).unwrap();
            remember(request.tag());
        }
    }
    let now = Numbered::new(10, 0).now;
    let (ts, exp_s) = (UnixMillis::from_ms(now), now / 1_000 + 60);
    let plain = Entry { agent_id: "bot.new.com", nonce: "first", ts, window_ms: WINDOW_MS, visa: None };
    let visa = Some(VisaUse { issuer: "https://broker.example.com", jti: "jti", exp_s });
    let paid = Entry { nonce: "second", visa, ..plain };
    for entry in [plain, paid] {
        remember(nonce_tag(&SEED, entry.agent_id, entry.nonce, ts, WINDOW_MS));
    }
    remember(jti_tag(&SEED, "https://broker.example.com", "jti", exp_s));
    for watched in [
        Watched { name: "plain", entry: plain, now },
        Watched { name: "replay", entry: plain, now },
        Watched { name: "paid", entry: paid, now },
    ] {
        let steps = watch(&mut shared, &watched, &known);
        println!("{}: whole after each of {steps} instructions", watched.name);
    }
}

/// Steps a child through one `admit`; returns the number of instructions.
fn watch(shared: &mut Shared, watched: &Watched<'_>, known: &HashMap<[u8; 16], u32>) -> usize {
    let pid = fork(|| {
        // SAFETY: plain system calls; the parent expects the stop.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
        }
        let _ = ReplayCache::attach(shared.cache())
            .and_then(|mut it| it.admit(&watched.entry, UnixMillis::from_ms(watched.now)));
    });
    let (mut steps, mut last) = (0, Vec::new());
    while libc::WIFSTOPPED(wait(pid)) {
        if shared.cache() != last.as_slice() {
            last = shared.cache().to_vec();
            assert_whole(&mut last.clone(), known, 0);
            for n in 0..7 {
                let again = Numbered::new(10, n).admit(&mut last.clone());
                assert_eq!(again, Err(Error::ReplayDetected), "{}, after {steps} instructions", watched.name);
            }
        }
        steps += 1;
        // SAFETY: our child, stopped.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) }, 0);
    }
    assert!(steps > 500, "the child was not watched");
    steps
}
