//! docs/checks.md is the table of errors, and stays so: `UPDATE=1 cargo test --test checks` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use imagxp::Error;

const BEGIN: &str = "<!-- table: written by core/tests/checks.rs -->\n";

fn table() -> String {
    let mut text =
        String::from("| number | code | status | the client sees | what to mend |\n| ---: | --- | --- | --- | --- |\n");
    for error in Error::ALL {
        let public = if error.public() == *error { "" } else { error.public().name() };
        let retry = error.retry_after_s().map_or(String::new(), |s| format!(", retry after {s} s"));
        let help = error.help().replace('|', "\\|");
        writeln!(text, "| {} | `{}` | {}{retry} | {public} | {help} |", error.number(), error.name(), error.status())
            .unwrap();
    }
    text
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once(BEGIN).expect("the page has its marker");
    let expected = format!("{head}{BEGIN}{}", table());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        page == expected || std::env::var_os("UPDATE").is_some(),
        "docs/checks.md is not the table: UPDATE=1 writes it"
    );
}

#[test]
fn numbers_and_names_are_unique_and_say_whose_fault_it_is() {
    for (index, error) in Error::ALL.iter().enumerate() {
        assert_eq!(Error::from_number(error.number()), Some(*error));
        for other in &Error::ALL[index + 1..] {
            assert!(error.number() > other.number(), "{} before {}", error.name(), other.name());
            assert_ne!(error.name(), other.name());
        }
        let statuses: &[u16] = match error.number() / -100 {
            1 => &[500],
            2 => &[400, 401, 431],
            3 => &[403, 429, 503],
            4 => &[403, 503],
            5 => &[402, 403, 503],
            _ => &[],
        };
        assert!(statuses.contains(&error.status()), "{}", error.name());
        assert!(error.help().len() > 20, "{} tells nobody what to mend", error.name());
        assert_eq!(error.public().public(), error.public());
    }
}

#[test]
fn every_failure_of_identity_looks_alike() {
    for error in Error::ALL.iter().filter(|error| error.number() / -100 == 4 && error.status() == 403) {
        assert_eq!(error.public(), Error::IdentityUnverified, "{}", error.name());
    }
}
