//! What the two case runners share: where cases lie, how they are counted, and how a run ends.
#![allow(dead_code, reason = "each runner uses its part")]

pub(crate) mod bytes;
pub(crate) mod request;
pub(crate) mod site;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

/// Why a case failed, in words.
pub(crate) type Outcome = Result<(), String>;

/// Failures that are printed of one file; the others are counted.
const FAILURES_SHOWN: usize = 40;

/// One run over many files.
#[derive(Default)]
pub(crate) struct Run {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Run {
    /// Runs the cases of one file, and prints its line.
    pub(crate) fn file(&mut self, name: &str, cases: impl FnOnce(&mut Tally)) {
        let mut tally = Tally::default();
        if catch_unwind(AssertUnwindSafe(|| cases(&mut tally))).is_err() {
            tally.fail("the file", "the runner gave up");
        }
        if tally.passed == 0 && tally.failures.is_empty() {
            tally.fail("the file", "it has no cases");
        }
        let Tally { passed, failures, notes } = tally;
        println!("{name:<56} {passed:>6} passed, {} failed", failures.len());
        failures.iter().take(FAILURES_SHOWN).for_each(|(id, why)| println!("    FAILED {id}: {why}"));
        notes.iter().for_each(|note| println!("    {note}"));
        self.passed += passed;
        self.failed += failures.len();
    }

    /// Runs a JSON file of `folder`; one that is absent is said and skipped.
    pub(crate) fn json(&mut self, folder: &Path, name: &str, cases: impl FnOnce(&Value, &mut Tally)) {
        match std::fs::read(folder.join(name)) {
            Err(_) => self.skip(name),
            Ok(text) => self.file(name, |tally| match serde_json::from_str(&whole_characters(&text)) {
                Ok(document) => cases(&document, tally),
                Err(error) => tally.fail("the file", &error.to_string()),
            }),
        }
    }

    /// Says that something is not there.
    pub(crate) fn skip(&mut self, name: &str) {
        println!("{name:<56} SKIPPED");
        self.skipped += 1;
    }

    /// Prints the last line. A run that ran nothing has failed, and so has one that lacks what it must have.
    pub(crate) fn finish(mut self, must_be_whole: bool) -> ExitCode {
        if self.skipped > 0 {
            println!("SKIPPED {} sets: see above", self.skipped);
        }
        if self.passed == 0 || must_be_whole {
            self.failed += self.skipped.max(usize::from(self.passed == 0));
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The counts of one file.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Tally {
    /// Runs one case. A panic of the library is a failure of its case.
    pub(crate) fn case(&mut self, id: &str, case: impl FnOnce() -> Outcome) {
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(Ok(())) => self.passed += 1,
            Ok(Err(why)) => self.fail(id, &why),
            Err(_) => self.fail(id, "panicked"),
        }
    }

    /// Counts a failure.
    pub(crate) fn fail(&mut self, id: &str, why: &str) {
        self.failures.push((id.to_owned(), why.to_owned()));
    }

    /// Prints a line below the file's.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Prints a line below the file's, if there is something to list.
    pub(crate) fn list(&mut self, what: &str, ids: &[String]) {
        if !ids.is_empty() {
            self.note(format!("{what} ({}): {}", ids.len(), ids.join(" ")));
        }
    }
}

/// `got` must be `wanted`.
pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Outcome {
    if got == wanted { Ok(()) } else { Err(format!("got {got:?}, wanted {wanted:?}")) }
}

/// The claim must hold.
pub(crate) fn holds(claim: bool, what: &str) -> Outcome {
    if claim { Ok(()) } else { Err(what.to_owned()) }
}

/// A member of a row that must be a string.
pub(crate) fn text<'r>(row: &'r Value, name: &str) -> Result<&'r str, String> {
    row[name].as_str().ok_or_else(|| format!("the row has no text {name}"))
}

/// A row's name in reports: its `id`, or its place in the file.
pub(crate) fn id(row: &Value, place: usize) -> String {
    row["id"].as_str().map_or_else(|| format!("#{place}"), str::to_owned)
}

/// The rows of a document: an array, or its member `tests` or `vectors`.
pub(crate) fn rows(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let lists = [document, &document["tests"], &document["vectors"]];
    let rows = lists.into_iter().find_map(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rows.iter().enumerate().map(|(place, row)| (id(row, place), row))
}

/// The text with U+FFFD for every half of a surrogate pair that stands alone as an escape: serde_json refuses them, and
/// a few files of others have them.
pub(crate) fn whole_characters(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut whole = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let len = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(_), _) => {
                whole.push('\u{FFFD}');
                rest = &escape[6..];
                continue;
            }
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        whole.push_str(&escape[..len]);
        rest = &escape[len..];
    }
    whole + rest
}

/// The code of an escape that stands for half a pair.
fn surrogate(escape: &str) -> Option<u32> {
    let code = u32::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()?;
    (0xD800..0xE000).contains(&code).then_some(code)
}

/// The folder named by a variable of the environment.
pub(crate) fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The project's own cases.
pub(crate) fn own_vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// Whether a machine watches: then nothing of the project's own may be missing.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}
