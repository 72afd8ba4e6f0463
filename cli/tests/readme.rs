//! The README's way from nothing to a verdict, as it stands there.
#![allow(missing_docs, reason = "tests")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The first shell block below a heading.
fn block(heading: &str) -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let (_, below) = readme.split_once(heading).expect("the heading");
    let (_, block) = below.split_once("```sh\n").expect("a shell block");
    block.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn an_agent_from_nothing() {
    let script = block("\n## An agent\n");
    // The build is this test's own, and nobody publishes a page for it.
    let lines: Vec<_> =
        script.lines().filter(|line| !line.starts_with("cargo ") && !line.starts_with("imagxp fetch ")).collect();
    assert_eq!(lines.len() + 2, script.lines().count());

    let folder = TempDir::new().unwrap();
    let program = assert_cmd::cargo::cargo_bin("imagxp");
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut shell = Command::new("sh");
    shell.args(["-euc", &lines.join("\n")]).current_dir(folder.path()).env_clear().env("PATH", path);
    let output = shell.output().unwrap();
    let (said, remarks) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.starts_with("ADMITTED as VERIFIED_AGENT"), "{said}\n{remarks}");
}
