//! The rows: printed for people, and written to `target/bench/ratios.json` for programs.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::rounds::Cost;

/// Whether a row says how many times cheaper we are, or how much dearer.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Baseline / ours; the bar is a least.
    Cheaper,
    /// Ours / baseline; the bar is a most.
    Overhead,
}

/// The rows of one run.
#[derive(Default)]
pub struct Report {
    rows: Map<String, Value>,
}

impl Report {
    /// Adds and prints a row.
    pub fn row(&mut self, name: &str, kind: Kind, ours: &Cost, baseline: &Cost, bar: f64) {
        let ratio = match kind {
            Kind::Cheaper => baseline.min_us / ours.min_us,
            Kind::Overhead => ours.min_us / baseline.min_us,
        };
        let met = match kind {
            Kind::Cheaper => ratio >= bar,
            Kind::Overhead => ratio <= bar,
        };
        let sign = match kind {
            Kind::Cheaper => "≥",
            Kind::Overhead => "≤",
        };
        let verdict = if met { "met" } else { "MISSED" };
        println!(
            "{name:<30} {:>9.2} us  {:<28} {:>9.2} us  ratio {ratio:>6.2}  bar {sign} {bar:<4} {verdict}",
            ours.min_us, baseline.name, baseline.min_us
        );
        let spread = ours.spread().max(baseline.spread());
        self.rows.insert(
            name.to_owned(),
            json!({
                "ours": round(ours.min_us), "baseline": round(baseline.min_us), "ratio": round(ratio), "unit": "us",
                "baseline_name": baseline.name, "bar": bar, "met": met, "spread": round(spread), "noisy": spread > 0.5,
            }),
        );
    }

    /// Writes the file, with what one must know to read it.
    pub fn write(mut self, path: &Path) -> std::io::Result<()> {
        let run = json!({
            "date": command("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            "commit": command("git", &["rev-parse", "--short", "HEAD"]),
            "machine": machine(),
            "rustc": command("rustc", &["--version"]),
            "openssl": openssl::version::version(),
            "method": "interleaved rounds, ratios of minima; spread = median / minimum - 1 of the noisier side",
        });
        self.rows.insert("run".to_owned(), run);
        std::fs::create_dir_all(path.parent().expect("a file in a folder"))?;
        std::fs::write(path, serde_json::to_string_pretty(&Value::Object(self.rows))? + "\n")
    }
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(": ").map_or("?", |(_, value)| value).to_owned()
    };
    format!("{} (family {} model {})", field("model name"), field("cpu family"), field("model\t"))
}

fn command(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
