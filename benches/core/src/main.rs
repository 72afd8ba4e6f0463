//! Every figure of the core beside its baselines, in one run: `make bench-ratios ONLY=core`.

mod curve;
mod report;
mod request;
mod rounds;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let file = std::env::args().nth(1).map_or_else(|| PathBuf::from("target/bench/rows/core.json"), PathBuf::from);
    let rounds = std::env::var("IMAGXP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(800);
    let mut report = report::Report::default();
    // The rows that are wanted; all, if none is named.
    let rows = std::env::var("ROWS").unwrap_or_default();
    let wants = |part: &[&str]| rows.is_empty() || rows.split(' ').any(|row| part.contains(&row));
    if wants(&curve::ROWS) {
        curve::run(&mut report, rounds);
    }
    if wants(&request::ROWS) {
        request::run(&mut report, rounds.div_ceil(40));
    }
    report.write(&file)?;
    Ok(())
}
