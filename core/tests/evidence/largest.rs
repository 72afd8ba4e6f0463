//! Visitors, the largest records there can be, and when a checkpoint is due.

use crate::*;

#[test]
fn visitors_and_large_targets() {
    let mut book = Book::new();
    let mut words = [0; Policy::WORDS];
    let policy = Policy::parse(b"{}", &mut words).unwrap();
    let targets = ["/".repeat(2_048), "/".repeat(2_049), "/\"\u{1}\u{65e5}".to_owned()];
    for target in &targets {
        let visit = Visit {
            method: "G\nET",
            scheme: "https",
            authority: "pub.example.com",
            target,
            vouched: 0,
            headers: Headers::new(),
        };
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(&visit, &mut scratch).unwrap();
        let mut memory = vec![0; KeyCache::words(&SIZES)];
        let keys = KeyCache::new(&mut memory, &SIZES, &[1; 32]).unwrap();
        let Ok(Step::Verified(verified)) = request.verify(&policy, &keys.read(), NOW) else { panic!("a visitor") };
        let verdict = Ok(verified.grant());
        let decided = Decided { visit: &visit, received: NOW, decided: NOW, documents: &[], visa_key: None, verdict };
        book.append(|head, out| write_decision(&decided, head, out).map(str::len));
        let too_many = Decided { documents: &[[0; 32]; 5], ..decided };
        assert_eq!(write_decision(&too_many, &Head::EMPTY, &mut [0; 4096]), Err(Error::AbiLength));
    }
    book.checkpoint(NOW);
    assert_eq!(audit(book.text.as_bytes()).0, []);
    let (decisions, _) = decisions(&book.text);
    assert_eq!(decisions[0].target, Target::Text(targets[0].as_str()));
    assert_eq!(decisions[1].target, Target::Hash(sha256(targets[1].as_bytes())));
    assert_eq!(decisions[2].target, Target::Hash(sha256(targets[2].as_bytes())));
    assert_eq!(decisions[0].method, Target::Hash(sha256(b"G\nET")));
    let absent = decisions[0].prove(&[], &mut []).unwrap();
    assert_eq!((absent.signature, absent.manifest, absent.bound), (Finding::Absent, Finding::Absent, Finding::Absent));
}

/// The largest headers there can be, all of them quotes: the line stays within its bound.
#[test]
fn the_largest_decision() {
    for filler in ["\"", "a"] {
        let feedback = "\"".repeat(spec::request::FEEDBACK_MAX);
        let used = ["x-imagxp-feedback", "x-imagxp-credential", "x-imagxp-proof"].map(str::len).iter().sum::<usize>();
        let left = spec::request::HEADERS_MAX - used - feedback.len();
        let (credential, proof) = (filler.repeat(left / 2), filler.repeat(left - left / 2));
        let mut headers = Headers::new();
        for (name, value) in
            [("x-imagxp-feedback", &feedback), ("x-imagxp-credential", &credential), ("x-imagxp-proof", &proof)]
        {
            headers.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let (authority, target) = ("a".repeat(262), "a".repeat(2_048));
        let visit =
            Visit { method: &authority, scheme: "https", authority: &authority, target: &target, vouched: 0, headers };
        let verdict = Err(Error::JsonTooManyMembers);
        let visa_key = publisher();
        let decided = Decided {
            visit: &visit,
            received: NOW,
            decided: NOW,
            documents: &[[0; 32]; 4],
            visa_key: Some(&visa_key),
            verdict,
        };
        let mut out = [0; spec::evidence::DECISION_MAX];
        let line = write_decision(&decided, &Head::EMPTY, &mut out).unwrap();
        assert!(Record::parse(line.trim_end().as_bytes()).is_ok());
    }
}

#[test]
fn the_largest_document() {
    let url = format!("https://a.example.com/{}", "a".repeat(2_048 - 22));
    let body = vec![b'x'; spec::document::JWKS_MAX];
    let mut book = Book::new();
    for len in [0, 1, 2, 3, 767, 768, 769, body.len()] {
        book.document(&url, &body[..len], NOW);
    }
    assert_eq!(chain(book.text.as_bytes()).0, []);
    let (_, documents) = decisions(&book.text);
    let mut scratch = vec![0; body.len()];
    assert_eq!(documents[7].body(&mut scratch), Ok(&body[..]));
    assert_eq!(documents[0].body(&mut []), Ok(&b""[..]));
    assert_eq!(documents[3].sha256, sha256(b"xxx"));

    let mut out = vec![0; 100_000];
    let big = vec![0; body.len() + 1];
    for (url, body) in [(url.as_str(), &big[..]), (&format!("{url}a"), b""), ("https://a\"", b"")] {
        let document = Fetched { url, body, at: NOW };
        assert_eq!(write_document(&document, &Head::EMPTY, &mut out), Err(Error::AbiLength));
    }
}

#[test]
fn when_a_checkpoint_is_due() {
    let at = |count| Head { count, ..Head::EMPTY };
    assert!(!at(5).wants_checkpoint(&at(5), 10_000));
    assert!(!at(6).wants_checkpoint(&at(5), 999));
    assert!(at(6).wants_checkpoint(&at(5), 1_000));
    assert!(at(1_005).wants_checkpoint(&at(5), 0));
}
