//! Runs `imagxp` as a user does, in a folder of its own, with a key of its own.
#![allow(dead_code, missing_docs, reason = "each test file uses its part")]

use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with an agent: `.env`, `manifest.json`.
pub(crate) struct Agent {
    pub(crate) folder: TempDir,
    pub(crate) private_key: String,
    pub(crate) public_key: String,
    pub(crate) name: String,
}

pub(crate) const PAGE: &str = "https://pub.example.com/a?b=c";

/// The command with an empty environment.
pub(crate) fn imagxp() -> Command {
    let mut command = Command::cargo_bin("imagxp").unwrap();
    command.env_clear();
    command
}

impl Agent {
    pub(crate) fn new(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let env = stdout(imagxp().arg("keygen"));
        let value = |name: &str| {
            let line = env.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once("=\"").unwrap().1.trim_end_matches('"').to_owned()
        };
        let (private_key, public_key) = (value("IMAGXP_PRIVATE_KEY"), value("IMAGXP_PUBLIC_KEY"));
        let agent = Self { folder, private_key, public_key, name: name.to_owned() };
        let mut command = agent.imagxp();
        if name.starts_with("localhost") {
            command.arg("manifest").arg("--dev");
        } else {
            command.arg("manifest");
        }
        agent.write("manifest.json", stdout(&mut command));
        agent
    }

    /// The command in the agent's folder and environment.
    pub(crate) fn imagxp(&self) -> Command {
        let mut command = imagxp();
        command
            .current_dir(self.folder.path())
            .env("IMAGXP_PRIVATE_KEY", &self.private_key)
            .env("IMAGXP_PUBLIC_KEY", &self.public_key)
            .env("IMAGXP_AGENT_ID", &self.name);
        command
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Headers for [`PAGE`], in `headers.txt`.
    pub(crate) fn sign(&self, arguments: &[&str]) -> String {
        let mut command = self.imagxp();
        let headers = stdout(command.args(["sign", PAGE, "--purpose", "SUMMARY"]).args(arguments));
        self.write("headers.txt", &headers);
        headers
    }

    /// The verdict on `headers.txt`, and the exit code.
    pub(crate) fn verify(&self, arguments: &[&str]) -> (Value, i32) {
        let mut command = self.imagxp();
        command.args(["verify", "headers.txt", "--manifest", "manifest.json", "--json"]).args(arguments);
        let output = command.output().unwrap();
        let verdict = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (verdict, output.status.code().unwrap())
    }
}

pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}
