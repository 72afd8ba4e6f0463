//! `--purpose`

use imagxp::Purpose;

/// The wire's names, as clap lists them.
pub(crate) const NAMES: [&str; 5] = ["CRAWL_TRAINING", "RAG_RETRIEVAL", "SUMMARY", "QUOTATION", "EMBEDDING"];

/// clap has checked that it is one of [`NAMES`].
pub(crate) fn of(name: &str) -> Purpose {
    Purpose::from_name(name).unwrap_or(Purpose::RagRetrieval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_wires() {
        assert_eq!(Purpose::ALL.map(Purpose::name), NAMES);
    }
}
