//! A policy's file.

use std::path::Path;

use imagxp::Policy;

use crate::failure::Failure;
use crate::input;

/// The policy of a file, or else `default`; in development mode if it says so and `--dev` does, too.
pub(crate) fn read<'w>(
    path: Option<&Path>,
    default: &[u8],
    development: bool,
    words: &'w mut [u64],
) -> Result<Policy<'w>, Failure> {
    let given = path.map(input::read).transpose()?;
    let json = given.as_deref().unwrap_or(default);
    let text = String::from_utf8_lossy(json);
    let says_so = serde_json::from_slice(json).ok().and_then(|json: serde_json::Value| json["development"].as_bool());
    if says_so == Some(!development) {
        let fix = if development { "leave out --dev, or the policy's `development`" } else { "add --dev" };
        return Err(Failure::usage("the policy and the command disagree about development mode", fix));
    }
    let json = match text.trim_start().strip_prefix('{') {
        Some(rest) if development && says_so.is_none() => {
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            format!("{{\"development\":true{comma}{rest}")
        }
        _ => text.into_owned(),
    };
    Policy::parse(json.as_bytes(), words).map_err(|error| {
        let Some(path) = path else {
            return Failure::usage(error.name(), "--issuer: an https URL; --audience: a name in printable ASCII");
        };
        let fix = if development {
            format!("{}; in development mode every audience is localhost", error.help())
        } else {
            format!("{}; see which: imagxp policy check {}", error.help(), path.display())
        };
        Failure::usage(format!("{}: {}", path.display(), error.name()), fix)
    })
}
