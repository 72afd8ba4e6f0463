//! Output: colours on a terminal only (`NO_COLOR` is heeded), control characters never.

use std::io::{ErrorKind, Write as _};

use clap::builder::styling::{AnsiColor, Style, Styles};

use crate::failure::Failure;

pub(crate) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
/// No style at all.
pub(crate) const PLAIN: Style = Style::new();
pub(crate) const BOLD: Style = Style::new().bold();

/// Prints a line. A reader that has gone away is no error: `imagxp … | head`.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    whole(anstream::stdout().write_all(format!("{text}\n").as_bytes()))
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    whole(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

fn whole(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}"), "is the disk full?"))
        }
        _ => Ok(()),
    }
}

/// A remark beside the output, on stderr.
pub(crate) fn remark(text: &str) {
    anstream::eprintln!("{DIM}{text}{DIM:#}");
}

/// A line of a table: a name, and its value.
pub(crate) fn row(name: &str, value: &str) -> Result<(), Failure> {
    line(&format!("  {BOLD}{name:<14}{BOLD:#} {value}"))
}

/// Foreign text as it may be shown on a terminal: escaped where it would act there, and not without end.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 300;
    let mut safe: String = text.chars().take(MOST).map(escape).collect();
    if text.chars().nth(MOST).is_some() {
        safe.push('…');
    }
    safe
}

fn escape(c: char) -> String {
    // Format characters, too: they can turn a line of text around.
    let acts = c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    if acts { c.escape_unicode().to_string() } else { c.to_string() }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(shown("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(shown("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(shown("bücher"), "bücher");
        assert_eq!(shown(&"x".repeat(400)).chars().count(), 301);
    }
}
