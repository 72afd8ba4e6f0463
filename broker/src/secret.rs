//! Files with secrets: nobody but the broker's user and root may have written them, and nobody else may read them.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::problem::Problem;

/// No key and no token is longer.
const SECRET_MAX: u64 = 16 * 1_024;
/// A little more, in which the end of the file is found.
const SECRET_ROOM: usize = 17 * 1_024;

/// A file that only this user, and at most its group, can read, in a folder where nobody else can put another in its
/// place. Symbolic links are followed: what counts is the file, and the folder that it is in.
///
/// # Errors
/// It cannot be read, others can read or change it, or it is another user's.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let wrong = |error: std::io::Error| Problem::new(format!("{}: {error}", path.display()), mend(path, &error));
    let file = File::open(path).map_err(wrong)?;
    check(path, &file).map_err(wrong)??;
    // With room for all: a vector that grows leaves what it held behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_ROOM));
    file.take(SECRET_MAX).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Keys are made by root as a rule, and then read by another.
#[cfg(unix)]
fn mend(path: &Path, error: &std::io::Error) -> String {
    let user = rustix::process::geteuid().as_raw();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("chown {user} {}: that is the user that the broker runs as; see to its folder, too", path.display())
        }
        _ => "name a file that can be read".to_owned(),
    }
}

#[cfg(not(unix))]
fn mend(_: &Path, _: &std::io::Error) -> String {
    "name a file that can be read".to_owned()
}

#[cfg(unix)]
fn check(path: &Path, file: &File) -> std::io::Result<Result<(), Problem>> {
    let user = rustix::process::geteuid().as_raw();
    let real = path.canonicalize()?;
    if let Err(problem) = check_file(path, &Found::of(&file.metadata()?), user) {
        return Ok(Err(problem));
    }
    match real.parent() {
        Some(folder) => Ok(check_folder(folder, &Found::of(&folder.metadata()?), user)),
        None => Ok(Ok(())),
    }
}

#[cfg(not(unix))]
fn check(_: &Path, _: &File) -> std::io::Result<Result<(), Problem>> {
    Ok(Ok(()))
}

/// Whose it is, and who may do what with it.
#[cfg(unix)]
#[derive(Clone, Copy)]
struct Found {
    owner: u32,
    mode: u32,
}

#[cfg(unix)]
impl Found {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { owner: metadata.uid(), mode: metadata.mode() & 0o7777 }
    }

    /// This user's, or root's, who can do everything anyhow.
    fn is_trusted(self, user: u32) -> bool {
        self.owner == user || self.owner == 0
    }
}

#[cfg(unix)]
fn check_file(path: &Path, found: &Found, user: u32) -> Result<(), Problem> {
    let (shown, Found { owner, mode }) = (path.display(), *found);
    // Anything for others, or writing for the group.
    if mode & 0o027 != 0 {
        let what = format!("{shown}: others can read or change this secret (mode {:03o})", mode & 0o777);
        return Err(Problem::new(what, format!("chmod 600 {shown}, and make a new one if others may have read it")));
    }
    if !found.is_trusted(user) {
        let what = format!("{shown}: this secret is user {owner}'s, and the broker runs as user {user}");
        let fix = format!(
            "chown {user} {shown}, or run the broker as user {owner}; if that user is a stranger, make a new one"
        );
        return Err(Problem::new(what, fix));
    }
    Ok(())
}

/// With the sticky bit nobody but its owner replaces a file.
#[cfg(unix)]
const STICKY: u32 = 0o1000;

#[cfg(unix)]
fn check_folder(folder: &Path, found: &Found, user: u32) -> Result<(), Problem> {
    let (shown, Found { owner, mode }) = (folder.display(), *found);
    if mode & 0o022 != 0 && mode & STICKY == 0 {
        let what = format!("{shown}: others can put another secret into this folder (mode {:03o})", mode & 0o777);
        return Err(Problem::new(what, format!("chmod go-w {shown}")));
    }
    if !found.is_trusted(user) {
        let what = format!("{shown}: this folder of secrets is user {owner}'s, and the broker runs as user {user}");
        return Err(Problem::new(what, format!("chown {user} {shown}, or keep the secrets in a folder of root's")));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const USER: u32 = 990;

    fn file(owner: u32, mode: u32) -> Option<String> {
        check_file(Path::new("/k.pem"), &Found { owner, mode }, USER).err().map(|problem| problem.to_string())
    }

    fn folder(owner: u32, mode: u32) -> Option<String> {
        check_folder(Path::new("/k"), &Found { owner, mode }, USER).err().map(|problem| problem.to_string())
    }

    #[test]
    fn whose_files() {
        for (owner, mode) in [(USER, 0o600), (USER, 0o400), (USER, 0o640), (0, 0o640), (0, 0o440)] {
            assert_eq!(file(owner, mode), None, "{owner} {mode:o}");
        }
        for mode in [0o604, 0o601, 0o602, 0o620, 0o666] {
            assert!(file(USER, mode).unwrap().contains("chmod 600 /k.pem"), "{mode:o}");
        }
        let said = file(1_000, 0o640).unwrap();
        assert!(said.contains("user 1000's") && said.contains("fix: chown 990 /k.pem"), "{said}");
        // Root is no exception: what a user owns it can change at any time.
        assert!(check_file(Path::new("/k.pem"), &Found { owner: 1_000, mode: 0o600 }, 0).is_err());
    }

    #[test]
    fn whose_folders() {
        for (owner, mode) in [(USER, 0o700), (USER, 0o755), (0, 0o755), (0, 0o750), (0, 0o1777), (0, 0o2755)] {
            assert_eq!(folder(owner, mode), None, "{owner} {mode:o}");
        }
        for mode in [0o777, 0o775, 0o772] {
            assert!(folder(USER, mode).unwrap().contains("fix: chmod go-w /k"), "{mode:o}");
        }
        assert!(folder(1_000, 0o755).unwrap().contains("fix: chown 990 /k"));
    }
}
