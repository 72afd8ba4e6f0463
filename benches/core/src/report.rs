//! The rows of this part, for `benches/ratios.py`.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::rounds::Cost;

/// Whether a row says how many times cheaper we are, or how much dearer.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Baseline / ours.
    Cheaper,
    /// Ours / baseline.
    Overhead,
}

/// The rows of one run.
#[derive(Default)]
pub struct Report {
    rows: Map<String, Value>,
}

impl Report {
    /// Adds a row.
    pub fn row(&mut self, name: &str, kind: Kind, ours: &Cost, baseline: &Cost) {
        let (ratio, ratio_is) = match kind {
            Kind::Cheaper => (baseline.min_us / ours.min_us, "baseline / ours"),
            Kind::Overhead => (ours.min_us / baseline.min_us, "ours / baseline"),
        };
        let spread = ours.spread().max(baseline.spread());
        self.rows.insert(
            name.to_owned(),
            json!({
                "ours": round(ours.min_us), "baseline": round(baseline.min_us), "ratio": round(ratio), "unit": "us",
                "ratio_is": ratio_is, "baseline_name": baseline.name, "spread": round(spread), "noisy": spread > 0.5,
            }),
        );
    }

    /// Writes the file, with what one must know to read it.
    pub fn write(mut self, path: &Path) -> std::io::Result<()> {
        let method = "interleaved rounds, ratios of minima; spread = median / minimum - 1 of the noisier side";
        let versions = json!({ "openssl": openssl::version::version(), "crates": crates() });
        self.rows.insert("run".to_owned(), json!({ "method": method, "versions": versions }));
        std::fs::create_dir_all(path.parent().expect("a file in a folder"))?;
        std::fs::write(path, serde_json::to_string_pretty(&Value::Object(self.rows))? + "\n")
    }
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The peers' versions, as locked.
fn crates() -> Value {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(Value::from(package.split('"').next()?))
    };
    ["aws-lc-rs", "ring", "p256"].into_iter().map(|name| (name.to_owned(), version(name).unwrap_or_default())).collect()
}
