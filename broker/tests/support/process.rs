//! The broker as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Killed when dropped.
pub struct Process {
    pub child: Child,
    /// What it printed until it ran.
    pub said: Vec<String>,
}

/// The broker's program with an environment of its own.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imagxp-broker"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts it and waits until it runs.
    pub fn start(command: Command) -> Self {
        Self::start_logging(command, Stdio::null())
    }

    /// The same, and its log goes there.
    pub fn start_logging(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stderr(log).spawn().unwrap();
        let mut said = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !said.last().is_some_and(|line: &String| line.starts_with("Broker running on ")) {
            said.push(lines.next().expect("it ends before it runs").unwrap());
        }
        Self { child, said }
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Waits for something to listen there.
pub fn wait_for(address: SocketAddr) {
    let began = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing listens on {address}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A key file of mode 600 (or another).
pub fn key_file(folder: &Path, name: &str, mode: u32) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let key = imagxp::KeyPair::from_random(&imagxp_host::system::random().unwrap()).unwrap();
    let mut out = [0; 512];
    let path = folder.join(name);
    std::fs::write(&path, key.to_pem(&mut out).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}
