//! Whatever is altered, removed, added or swapped is found and named.

use crate::*;

/// Any flipped bit of a log that ends with a checkpoint is found, at its line or the one behind it.
#[test]
fn every_flipped_byte_is_found() {
    let book = book();
    let text = book.text.as_bytes();
    let starts: Vec<usize> = core::iter::once(0)
        .chain(text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1))
        .collect();
    // Every byte with one bit; all bits in turn along the text.
    for at in 0..text.len() - 1 {
        let mut text = text.to_vec();
        text[at] ^= 1 << (at % 7);
        // Signatures only where nothing else shows it.
        let (mut faults, _) = walk(&text, false);
        if faults.is_empty() {
            (faults, _) = chain(&text);
        }
        let line = starts.iter().filter(|start| **start <= at).count() as u64;
        let first = faults.first().unwrap_or_else(|| panic!("byte {at} of line {line}"));
        assert!(first.line == line || first.line == line + 1, "byte {at} of line {line}: {faults:?}");
    }
    // The very last newline: the line is torn, and the checkpoint not there.
    let mut torn = text.to_vec();
    *torn.last_mut().unwrap() = b' ';
    let (_, summary) = chain(&torn);
    assert!(summary.torn > 0 && summary.unsealed > 0);
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn removed_added_and_swapped_records_are_named() {
    let whole = lines(&book().text);
    let count = whole.len();
    for at in 0..count - 1 {
        // Removed: the next line does not follow, and the next checkpoint counts one too many.
        let mut fewer = whole.clone();
        fewer.remove(at);
        let (faults, _) = chain(joined(&fewer).as_bytes());
        assert_eq!(faults[0], Fault { line: at as u64 + 1, what: What::Chain }, "removed {at}");

        // Added: a copy of an older line, or of itself.
        for copy in [0, at] {
            let mut more = whole.clone();
            more.insert(at + 1, whole[copy].clone());
            let (faults, _) = chain(joined(&more).as_bytes());
            assert_eq!(faults[0].line, at as u64 + 2, "added behind {at}: {faults:?}");
            assert!(matches!(faults[0].what, What::Chain | What::Previous));
            // The line behind it still follows on the one before: but for a copy of that very one.
            let behind = Fault { line: at as u64 + 3, what: What::Previous };
            assert_eq!(faults.contains(&behind), copy != at, "added behind {at}: {faults:?}");
        }

        let mut swapped = whole.clone();
        swapped.swap(at, at + 1);
        let (faults, _) = chain(joined(&swapped).as_bytes());
        assert_eq!(faults[0], Fault { line: at as u64 + 1, what: What::Chain }, "swapped {at}");
    }
    // A swap of neighbours, line by line: neither follows, and the one behind follows on the first of them.
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    let (faults, _) = chain(joined(&swapped).as_bytes());
    let named: Vec<_> = faults.iter().map(|fault| (fault.line, fault.what)).collect();
    assert_eq!(named, [(2, What::Chain), (3, What::Previous), (4, What::Previous)]);

    // The end can be cut off: the summary says how much is unsigned, and a head kept elsewhere shows it.
    let cut = joined(&whole[..count - 1]);
    let (faults, summary) = chain(cut.as_bytes());
    assert!(faults.is_empty() && summary.unsealed > 0 && summary.head != book().head);
}

/// Someone who writes the chain anew cannot sign the checkpoints.
#[test]
fn a_rewritten_chain_fails_at_its_checkpoint() {
    let whole = lines(&book().text);
    let mut head = Head::EMPTY;
    let mut forged = String::new();
    for (at, line) in whole.iter().enumerate().filter(|(at, _)| *at != 1) {
        let old: String = line.split("\"prev\":\"").nth(1).unwrap()[..64].to_owned();
        let new: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = line.replace(&old, &new);
        head = head.after(&line);
        forged.push_str(&line);
        forged.push('\n');
        let _ = at;
    }
    let (faults, summary) = chain(forged.as_bytes());
    assert!(matches!(faults[0].what, What::Count { .. }), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.what == What::Signature) && summary.unsealed > 0, "{faults:?}");

    // With the counts put right, the signatures fail; with another key, too.
    let mut stranger = Book::new();
    stranger.document("https://a.example.com/x", b"{}", NOW);
    stranger.append(|head, out| write_checkpoint(&key(8), head, NOW, Signing::default(), out).map(str::len));
    let (faults, summary) = chain(stranger.text.as_bytes());
    assert_eq!((faults.as_slice(), summary.unsealed), (&[Fault { line: 2, what: What::Key }][..], 2));
}

/// A signature that is checked later seals nothing before that, and nothing at all if it is wrong: whether it is wrong is
/// found at once, or with many others.
#[test]
fn a_checkpoint_seals_only_by_a_good_signature() {
    let mut book = Book::new();
    for at in 0..2 {
        book.document("https://a.example.com/x", &[at], NOW);
        book.checkpoint(NOW);
    }
    let forged = altered_signature(&book.text);
    for (text, sealed, wrong) in [(&book.text, 4, None), (&forged, 2, Some(4))] {
        let keys = [publisher()];
        let (mut at_once, mut later) = (Log::new(&keys), Log::new(&keys));
        let mut checks = Vec::new();
        let mut faults = Vec::new();
        for line in text.lines() {
            faults.extend(at_once.line(line.as_bytes()).err());
            checks.extend(later.line_unchecked(line.as_bytes()).unwrap().1);
        }
        assert_eq!(faults, wrong.map(|line| Fault { line, what: What::Signature }).as_slice());

        assert_eq!(later.finish(b"").unsealed, 4, "no signature was checked yet");
        let mut good = [false; 2];
        verify_checks(&checks, &mut Tables::new(&mut []), &mut good);
        let verdicts = checks.iter().zip(good).filter_map(|(check, good)| later.seal(check.line, good).err());
        assert_eq!(verdicts.collect::<Vec<_>>(), faults);
        assert_eq!((later.state(), later.state().sealed), (at_once.state(), sealed));
        assert_eq!(later.finish(b"").unsealed, 4 - sealed);
    }
}

/// The last signature with its last digit changed.
fn altered_signature(text: &str) -> String {
    let member = "\"signature\":\"";
    let at = text.rfind(member).unwrap() + member.len() + 127;
    let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    [&text[..at], digit, &text[at + 1..]].concat()
}

#[test]
fn a_torn_last_line_is_recovered() {
    let mut book = book();
    let whole = book.text.len();
    let head = book.head;
    book.document("https://a.example.com/x", b"{}", NOW);
    for torn in whole..book.text.len() {
        let (faults, summary) = chain(&book.text.as_bytes()[..torn]);
        assert!(faults.is_empty());
        assert_eq!(summary, Summary { head, bytes: whole as u64, unsealed: 0, torn: torn - whole, faults: 0 });
    }
    // The writer cuts the file there and goes on.
    let mut again = Book { text: book.text[..whole].to_owned(), head };
    again.checkpoint(NOW.saturating_add(3_000));
    assert_eq!(chain(again.text.as_bytes()).0, []);
    assert_eq!(chain(b"").1, Summary { head: Head::EMPTY, bytes: 0, unsealed: 0, torn: 0, faults: 0 });

    // And a reader who trusts a head goes on from there.
    let keys = [publisher()];
    let mut log = Log::resume(&keys, head);
    assert!(log.line(again.text[whole..].trim_end().as_bytes()).is_ok());
}

/// A verdict that its own evidence does not bear out.
#[test]
fn a_lying_verdict_is_found() {
    let book = book();
    let whole = lines(&book.text);
    let judge = |line: &str| {
        let Record::Decision(decision) = Record::parse(line.as_bytes()).unwrap().0 else { panic!("a decision") };
        let (_, documents) = decisions(&book.text);
        decision.prove(&documents, &mut [0; 65_536]).unwrap().bear_out(decision.outcome)
    };
    let admitted = whole.iter().find(|line| line.contains("\"code\":\"OK\"")).unwrap();
    assert_eq!(judge(admitted), Ok(()));
    assert_eq!(judge(&admitted.replace("\"target\":\"/a\"", "\"target\":\"/b\"")), Err(What::Document));
    assert_eq!(judge(&admitted.replace("\"proof\":\"NONE\"", "\"proof\":\"VISA\"")), Err(What::Signature));
    let sent = whole.iter().find(|line| line.contains("KEY_MISMATCH")).unwrap();
    let lie = sent.replace(
        r#"{"code":"KEY_MISMATCH"}"#,
        r#"{"bound":"exact","code":"OK","proof":"NONE","visitor":"VERIFIED_AGENT"}"#,
    );
    assert_eq!(judge(sent), Ok(()));
    assert_eq!(judge(&lie), Err(What::Document));
    let at = admitted.find("x-imagxp-signature").unwrap() + 21;
    let mut forged = admitted.clone();
    forged.replace_range(at..at + 1, if &forged[at..at + 1] == "0" { "1" } else { "0" });
    assert_eq!(judge(&forged), Err(What::Signature));
}
