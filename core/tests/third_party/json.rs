//! JSON: who may be read at all, how it is written, and which double a decimal text is.

use std::path::{Path, PathBuf};

use imagxp::Error;
use imagxp::codec::json::Limits;

use crate::cases::{Outcome, Run, Tally, bytes, equal, holds};

/// Runs every set.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    parsing(run, &folder.join("JSONTestSuite/test_parsing"));
    transform(run, &folder.join("JSONTestSuite/test_transform"));
    canonicalization(run, &folder.join("json-canonicalization"));
    numbers(run, &folder.join("json-canonicalization/es6numbers-10000.txt"));
    for name in ["freetype-2-7", "google-wuffs", "lemire-fast-float", "more-test-cases"] {
        doubles(run, &folder.join(format!("parse-number-fxx/{name}.txt")));
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Option<Vec<(String, PathBuf)>> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let mut files: Vec<_> = entries.map(|path| (name_of(&path), path)).collect();
    files.sort();
    Some(files)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `y_` is read but for our bounds, `n_` never, `i_` as the profile says: each refusal of a `y_` or `i_` is listed with
/// its code.
fn parsing(run: &mut Run, folder: &Path) {
    let Some(files) = files(folder) else { return run.skip("JSONTestSuite/test_parsing") };
    run.file("JSONTestSuite/test_parsing", |tally| {
        let (mut by_rule, mut by_payload) = (Vec::new(), Vec::new());
        for (name, path) in files {
            tally.case(&name, || {
                let json = std::fs::read(path).map_err(|error| error.to_string())?;
                let wide = bytes::canonical(&json, &Limits::WIDE);
                if let Err(error) = &wide {
                    if !name.starts_with('n') {
                        by_rule.push(format!("{name}:{}", error.name()));
                    }
                } else if let Err(error) = bytes::canonical(&json, &Limits::PAYLOAD) {
                    by_payload.push(format!("{name}:{}", error.name()));
                }
                parsed(&name, wide.err())
            });
        }
        tally.list("y_ and i_ that the rules refuse", &by_rule);
        tally.list("read with the wide preset, refused by the bounds of a payload", &by_payload);
    });
}

/// What may refuse a text that RFC 8259 allows: threats.md 4.2.
fn parsed(name: &str, refusal: Option<Error>) -> Outcome {
    match (name.as_bytes().first(), refusal) {
        (Some(b'n'), refusal) => holds(refusal.is_some(), "what is no JSON was read"),
        (_, None | Some(Error::JsonDuplicateKey | Error::JsonLoneSurrogate | Error::JsonNumberRange)) => Ok(()),
        (Some(b'i'), Some(Error::JsonUtf8 | Error::JsonDepth)) => Ok(()),
        (_, Some(error)) => Err(format!("refused: {}", error.name())),
    }
}

/// Texts on which readers differ: here each has one canonical form, which is its own, or a refusal.
fn transform(run: &mut Run, folder: &Path) {
    let Some(files) = files(folder) else { return run.skip("JSONTestSuite/test_transform") };
    run.file("JSONTestSuite/test_transform", |tally| {
        let mut refused = Vec::new();
        for (name, path) in files {
            tally.case(&name, || {
                let json = std::fs::read(path).map_err(|error| error.to_string())?;
                match bytes::canonical(&json, &Limits::WIDE) {
                    Ok(once) => equal(bytes::canonical(&once, &Limits::WIDE), Ok(once)),
                    Err(error) => {
                        refused.push(format!("{name}:{}", error.name()));
                        parsed(&name, Some(error)).or_else(|_| holds(error == Error::JsonUtf8, error.name()))
                    }
                }
            });
        }
        tally.list("refused", &refused);
    });
}

/// Input to output, as text and as bytes.
fn canonicalization(run: &mut Run, folder: &Path) {
    let Some(files) = files(&folder.join("input")) else { return run.skip("json-canonicalization") };
    run.file("json-canonicalization", |tally| {
        for (name, path) in files {
            tally.case(&name, || {
                let read = |path: PathBuf| std::fs::read(path).map_err(|error| error.to_string());
                let canonical = bytes::canonical(&read(path)?, &Limits::WIDE).map_err(|error| error.to_string())?;
                let output = read(folder.join("output").join(&name))?;
                equal(canonical.as_slice(), output.trim_ascii_end())?;
                let hex = read(folder.join("outhex").join(name.replace(".json", ".txt")))?;
                let hex: String = String::from_utf8_lossy(&hex).split_whitespace().collect();
                equal(bytes::hex(&canonical), hex)
            });
        }
    });
}

/// `bits,text`: the text is its own canonical form, and so is the shortest decimal of the bits.
fn numbers(run: &mut Run, path: &Path) {
    lines(run, path, |line| {
        let (bits, wanted) = line.split_once(',').ok_or("no comma")?;
        let value = f64::from_bits(u64::from_str_radix(bits, 16).map_err(|error| error.to_string())?);
        equal(number(&format!("{value:e}")), Ok(wanted.to_owned()))?;
        equal(number(wanted), Ok(wanted.to_owned()))
    });
}

/// `f16 f32 f64 text`: the text's canonical form is the one of the double. What is no number of JSON is refused, what
/// overflows, too.
fn doubles(run: &mut Run, path: &Path) {
    lines(run, path, |line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, _, bits, text] = fields[..] else { return Err("not four columns".to_owned()) };
        let value = f64::from_bits(u64::from_str_radix(bits, 16).map_err(|error| error.to_string())?);
        let canonical = number(text);
        match (is_json_number(text), value.is_finite()) {
            (false, _) => equal(canonical, Err(Error::JsonSyntax)),
            (true, false) => equal(canonical, Err(Error::JsonNumberRange)),
            (true, true) => equal(canonical, number(&format!("{value:e}"))),
        }
    });
}

fn lines(run: &mut Run, path: &Path, case: fn(&str) -> Outcome) {
    let name = name_of(path);
    let Ok(text) = std::fs::read_to_string(path) else { return run.skip(&name) };
    run.file(&name, |tally: &mut Tally| {
        for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            tally.case(&format!("line {}", place + 1), || case(line));
        }
    });
}

/// The canonical form of a number, numbers of any length.
fn number(text: &str) -> Result<String, Error> {
    let canonical = bytes::canonical(text.as_bytes(), &Limits::WIDE)?;
    String::from_utf8(canonical).map_err(|_| Error::JsonUtf8)
}

/// RFC 8259 section 6.
fn is_json_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && digits(fraction) && digits(exponent)
}
