//! Writes `include/imagxp.h`: types and functions by cbindgen from `ffi/src`, codes and names from the core's own tables,
//! and around them the texts of `ffi/header`. `--check` compares instead, for CI.

mod comments;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use imagxp::{Error, KeyCache, Shape, Sizes, spec};

/// In the order in which the header shows them.
const SOURCES: &[&str] = &[
    "types/mod.rs",
    "types/publisher.rs",
    "types/agent.rs",
    "types/provenance.rs",
    "types/story.rs",
    "types/evidence.rs",
    "types/feedback.rs",
    "types/broker.rs",
    "status.rs",
    "policy.rs",
    "state.rs",
    "publisher.rs",
    "packed.rs",
    "refusal.rs",
    "agent_keys.rs",
    "agent.rs",
    "host.rs",
    "provenance.rs",
    "story.rs",
    "evidence.rs",
    "log.rs",
    "feedback.rs",
    "broker.rs",
];
const HEADER: &str = "include/imagxp.h";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let header = write(&root);
    let path = root.join(HEADER);
    if env::args().any(|argument| argument == "--check") {
        if fs::read_to_string(&path).is_ok_and(|committed| committed == header) {
            return ExitCode::SUCCESS;
        }
        eprintln!("{HEADER} is not what the sources say: run `make header`, and look at what changed");
        return ExitCode::FAILURE;
    }
    fs::write(path, header).expect("the header can be written");
    ExitCode::SUCCESS
}

fn write(root: &Path) -> String {
    let ffi = root.join("ffi");
    let text = |name: &str| fs::read_to_string(ffi.join("header").join(name)).expect("a part of the header");
    let mut config = cbindgen::Config::from_file(ffi.join("cbindgen.toml")).expect("the layout of the header");
    config.header = Some(format!("{}\n#ifndef IMAGXP_H\n#define IMAGXP_H", text("preamble.h")));
    config.after_includes = Some(format!("#include <stddef.h>\n#include <stdint.h>\n\n{}\n{}", codes(), names()));
    config.trailer = Some(format!("{}\n#endif /* IMAGXP_H */", with_sizes(text("helpers.h"))));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(ffi.join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("ffi/src can be read").write(&mut header);
    comments::tidy(&String::from_utf8(header).expect("sources are UTF-8"))
}

/// Puts into the macros what the core's slots take: measured, so that the two cannot differ.
fn with_sizes(helpers: String) -> String {
    let shape = Shape::ALL[0];
    let words = |names, issuers, tables| KeyCache::words(&Sizes { names, issuers, tables, shape });
    // A quarter of the names is for refusals: 2 of 8 and of 9, 3 of 12.
    let agent = words(9, 0, 0) - words(8, 0, 0);
    let refused = words(12, 0, 0) - words(8, 0, 0) - 3 * agent;
    let head = words(8, 0, 0) - 6 * agent - 2 * refused;
    let issuer = words(8, 1, 0) - words(8, 0, 0);
    let owner = words(8, 0, 1) - words(8, 0, 0) - shape.words();
    let sizes =
        [("@HEAD@", head), ("@AGENT@", agent), ("@REFUSED@", refused), ("@ISSUER@", issuer), ("@OWNER@", owner)];
    sizes.into_iter().fold(helpers, |text, (name, words)| text.replace(name, &words.to_string()))
}

/// Every status with its reason, from the core's table.
fn codes() -> String {
    let mut text =
        String::from("/* Every imagxp_status, with its HTTP status, and what an honest user should mend. */\n");
    text += "enum imagxp_code {\n    /* Done. */\n    IMAGXP_OK = 0,\n";
    text += "    /* Fetch a document, supply it, call again. */\n    IMAGXP_NEED = 1,\n";
    text += "    /* Every check holds but one, that it is the first time: imagxp_request_admit makes it. */\n";
    text += "    IMAGXP_VERIFIED = 2,\n";
    text += "    /* A line of the evidence is not good: the result says why. Go on with the next. */\n";
    text += "    IMAGXP_FAULT = 3";
    let mut hundred = 0;
    for error in Error::ALL {
        let number = *error as i32;
        text += ",\n";
        if number / 100 != hundred {
            hundred = number / 100;
            text += &format!("\n    /* {hundred}xx: {}. */\n\n", whose_fault(hundred));
        }
        // No text may end the comment.
        let help = error.help().replace("*/", "* /");
        text += &format!("    /*\n     {}: {help}\n     */\n    IMAGXP_{} = {number}", error.status(), error.name());
    }
    text + "\n};\n"
}

fn whose_fault(hundred: i32) -> &'static str {
    match hundred {
        -1 => "the caller's mistake",
        -2 => "the request is malformed",
        -3 => "not authentic, or not fresh",
        -4 => "the agent's identity",
        _ => "policy and payment",
    }
}

/// The texts of the wire.
fn names() -> String {
    let mut text = String::from("/* Names on the wire. */\n");
    let names = [
        ("HEADER_PAYLOAD", spec::header::PAYLOAD),
        ("HEADER_SIGNATURE", spec::header::SIGNATURE),
        ("HEADER_PUBLIC_KEY", spec::header::PUBLIC_KEY),
        ("HEADER_KEY", spec::header::KEY),
        ("HEADER_CREDENTIAL", spec::header::CREDENTIAL),
        ("HEADER_PROOF", spec::header::PROOF),
        ("HEADER_BROKER", spec::header::BROKER),
        ("HEADER_PRICE", spec::header::PRICE),
        ("HEADER_FEEDBACK", spec::header::FEEDBACK),
        ("HEADER_CONTENT_ORIGIN", spec::header::CONTENT_ORIGIN),
        ("HEADER_PROVENANCE_SIG", spec::header::PROVENANCE_SIG),
        ("HEADER_PROVENANCE_TS", spec::header::PROVENANCE_TS),
        ("MANIFEST_PATH", spec::MANIFEST_PATH),
        ("POLICY_PATH", spec::POLICY_PATH),
        ("JWKS_PATH", spec::JWKS_PATH),
        ("PRODUCT", spec::PRODUCT),
    ];
    for (name, value) in names {
        text += &format!("#define {:<29} \"{value}\"\n", format!("IMAGXP_{name}"));
    }
    text
}
