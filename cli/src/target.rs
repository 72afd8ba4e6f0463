//! URLs on the command line.

use imagxp_host::fetch::target::Target;

use crate::failure::Failure;
use crate::print;

/// Said on stderr whenever `--dev` is given.
pub(crate) fn announce_development(development: bool) {
    if development {
        print::remark(
            "development mode is ON: localhost names and plain http to this machine are good. Never on a public site.",
        );
    }
}

/// An absolute URL of a page, taken apart. Plain http is for this machine and `--dev`; `--dev` is for this machine.
pub(crate) fn parse(url: &str, development: bool) -> Result<Target, Failure> {
    let wrong = |why: &dyn std::fmt::Display, fix| Failure::usage(format!("{}: {why}", print::shown(url)), fix);
    let target = Target::parse(url).map_err(|why| wrong(&why, "write it as https://pub.example.com/a?b=c"))?;
    if development && !target.is_loopback() {
        return Err(wrong(&"is a production site", "leave out --dev: it is for localhost only"));
    }
    if !target.tls && !development {
        return Err(wrong(&"is plain http", "use https, or --dev for a server on this machine"));
    }
    Ok(target)
}
