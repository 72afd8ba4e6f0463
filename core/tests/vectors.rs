//! The project's own cases: `vectors/`, or the folder that `IMAGXP_VECTORS` names. Formats: `vectors/README.md`.

#![allow(clippy::type_complexity, reason = "tables of files and the functions that run them")]

mod cases;

mod vectors {
    pub(crate) mod interop;
    pub(crate) mod listed;
    pub(crate) mod profile;
    pub(crate) mod rfc;
    pub(crate) mod signed_texts;
    pub(crate) mod tokens;
}

use std::process::ExitCode;

use cases::{Run, folder, is_ci, own_vectors};
use vectors::{interop, listed::Listed, profile, rfc, signed_texts, tokens};

fn main() -> ExitCode {
    let given = folder("IMAGXP_VECTORS");
    let vectors = given.clone().unwrap_or_else(own_vectors);
    println!("cases of {}", vectors.display());
    signed_texts::take_agent_key(&vectors);
    let mut run = Run::default();
    let mut listed = Listed::read();
    profile::run(&mut run, &vectors, &listed);
    rfc::run(&mut run, &vectors);
    interop::run(&mut run, &vectors, &mut listed);
    tokens::run(&mut run, &vectors, &mut listed);
    signed_texts::run(&mut run, &vectors);
    listed.write();
    run.finish(given.is_none() && is_ci())
}
