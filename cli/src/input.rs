//! Files, standard input, and text that may be either.

use std::io::Read as _;
use std::path::Path;

use crate::failure::Failure;

/// Nothing that is read here is anywhere near this long.
const MOST: u64 = 4 * 1024 * 1024;

/// The contents of a file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: std::io::Error| {
        Failure::usage(format!("{}: {error}", path.display()), "name a file that can be read, or - for standard input")
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MOST).read_to_end(&mut bytes).map_err(wrong)?;
    } else {
        std::fs::File::open(path).map_err(wrong)?.take(MOST).read_to_end(&mut bytes).map_err(wrong)?;
    }
    Ok(bytes)
}

/// A file's contents if there is a file of that name, else the text itself; standard input for none and for `-`.
pub(crate) fn read_or_text(argument: Option<&str>) -> Result<Vec<u8>, Failure> {
    match argument {
        None | Some("-") => read(Path::new("-")),
        Some(text) if Path::new(text).is_file() => read(Path::new(text)),
        Some(text) => Ok(text.as_bytes().to_vec()),
    }
}
