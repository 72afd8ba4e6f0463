//! The layers of the crate documentation, held: each file names only modules that stand below it.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the bottom up. What is not listed is beside them all.
const LAYERS: [&[&str]; 5] = [
    &["codec", "ec", "fallback"],
    &["jose"],
    &[
        "manifest",
        "policy",
        "visitor",
        "claims",
        "headers",
        "url",
        "need",
        "key_cache",
        "replay_cache",
        "visa",
        "payment",
        "identity",
        "verdict",
        "signed",
        "canonical",
    ],
    &["feedback", "provenance", "evidence", "story", "discovery", "refusal"],
    &["agent", "publisher", "broker"],
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

#[test]
fn codec_and_ec_know_nothing_of_the_protocol() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20);
    for file in files {
        let module =
            file.strip_prefix(&root).unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let module = module.trim_end_matches(".rs");
        if !["codec", "ec"].contains(&module) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for above in LAYERS.iter().skip(1).flat_map(|modules| modules.iter()) {
            assert!(!text.contains(&format!("crate::{above}")), "{} names {above}", file.display());
        }
        assert!(!text.to_lowercase().contains("imagxp") || module == "ec", "{} names the protocol", file.display());
    }
}

#[test]
fn nothing_depends_upwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let Some(own) = layer(module.trim_end_matches(".rs")) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        for (above, modules) in LAYERS.iter().enumerate().skip(own + 1) {
            for name in *modules {
                let named = text.contains(&format!("use crate::{name}")) || text.contains(&format!("crate::{name}::"));
                assert!(!named, "{} (layer {own}) names {name} (layer {above})", relative.display());
            }
        }
    }
}
