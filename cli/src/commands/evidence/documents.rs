//! The documents of a log: each body once for each URL, at the time when it first came.

use std::collections::HashMap;

use imagxp::UnixMillis;
use imagxp::evidence::Document;
use imagxp::key::Digest;

/// What is kept of them.
#[derive(Default)]
pub(super) struct Documents {
    of: HashMap<Digest, Vec<Kept>>,
}

struct Kept {
    url: String,
    at: UnixMillis,
    base64: String,
}

impl Documents {
    /// Takes a document in.
    pub(super) fn add(&mut self, document: &Document<'_>) {
        let same = self.of.entry(document.sha256).or_default();
        match same.iter_mut().find(|kept| kept.url == document.url) {
            Some(kept) => kept.at = kept.at.min(document.at),
            None => {
                let (url, base64) = (document.url.to_owned(), document.base64.to_owned());
                same.push(Kept { url, at: document.at, base64 });
            }
        }
    }

    /// Whether this body is there from this URL.
    pub(super) fn has(&self, url: &str, sha256: &Digest) -> bool {
        self.of.get(sha256).is_some_and(|same| same.iter().any(|kept| kept.url == url))
    }

    /// Those of these hashes.
    pub(super) fn of(&self, digests: &[Digest]) -> Vec<Document<'_>> {
        let found = digests.iter().filter_map(|digest| self.of.get_key_value(digest));
        found
            .flat_map(|(digest, same)| {
                same.iter().map(|kept| Document { url: &kept.url, at: kept.at, sha256: *digest, base64: &kept.base64 })
            })
            .collect()
    }
}
