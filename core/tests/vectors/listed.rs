//! What stands beside the rows: the codes that were recorded of them, and the few rows that contradict the pages.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cases::{Tally, own_vectors, rows, text, whole_characters};

/// Codes by file and row.
type Codes = BTreeMap<String, BTreeMap<String, String>>;

/// `vectors/interop_codes.json` and `vectors/departures.json` of the project.
pub(crate) struct Listed {
    codes: Codes,
    /// The project's own rows, by file and id, as far as they were asked for.
    own: BTreeMap<String, BTreeMap<String, Value>>,
    departures: BTreeMap<(String, String), Departure>,
    /// What this run got: written instead of compared when `IMAGXP_RECORD` is set.
    recorded: Option<Codes>,
}

/// A row that the pages overrule.
pub(crate) struct Departure {
    /// What the pages say: `OK`, `accept`, `reject`, or a code.
    pub(crate) expect: String,
    /// Why.
    pub(crate) why: String,
}

impl Listed {
    /// Reads both files. They are the project's, whatever folder the rows come from.
    pub(crate) fn read() -> Self {
        let codes = serde_json::from_value(read("interop_codes.json")).unwrap_or_default();
        let departures = read("departures.json");
        let rows = departures["departures"].as_array().map(Vec::as_slice).unwrap_or_default();
        let departures = rows.iter().map(|row| departure(row).expect("departures.json: file, id, expect and why"));
        let recorded = std::env::var_os("IMAGXP_RECORD").map(|_| Codes::new());
        Self { codes, own: BTreeMap::new(), departures: departures.collect(), recorded }
    }

    /// The pages' word on a row, where it differs from the row's.
    pub(crate) fn departure(&self, file: &str, id: &str) -> Option<&Departure> {
        self.departures.get(&(file.to_owned(), id.to_owned()))
    }

    /// Says which rows of a file the pages overrule, and why.
    pub(crate) fn tell(&self, file: &str, tally: &mut Tally) {
        for ((_, id), Departure { expect, why }) in self.departures.iter().filter(|((of, _), _)| of == file) {
            tally.note(format!("the pages overrule {id}: {expect}, because {why}"));
        }
    }

    /// The code that was recorded of a row; none of an unseen one, even if its id is one of ours.
    pub(crate) fn code(&mut self, file: &str, id: &str, row: &Value) -> Option<&str> {
        let own = self.own.entry(file.to_owned()).or_insert_with(|| {
            let document = read(file);
            rows(&document).map(|(id, row)| (id, row.clone())).collect()
        });
        let of = id.split('#').next().unwrap_or(id);
        let known = own.get(of) == Some(row) && self.recorded.is_none();
        self.codes.get(file).and_then(|codes| codes.get(id)).map(String::as_str).filter(|_| known)
    }

    /// Takes down what a row got.
    pub(crate) fn record(&mut self, file: &str, id: &str, code: &str) {
        if let Some(recorded) = &mut self.recorded {
            recorded.entry(file.to_owned()).or_default().insert(id.to_owned(), code.to_owned());
        }
    }

    /// Writes what was taken down.
    pub(crate) fn write(&self) {
        if let Some(recorded) = &self.recorded {
            let text = serde_json::to_string_pretty(recorded).expect("texts only") + "\n";
            std::fs::write(own_vectors().join("interop_codes.json"), text).expect("the project's own folder");
            println!("recorded vectors/interop_codes.json: review the difference against docs/checks.md");
        }
    }
}

fn read(name: &str) -> Value {
    let text = std::fs::read(own_vectors().join(name)).unwrap_or_default();
    serde_json::from_str(&whole_characters(&text)).unwrap_or_default()
}

fn departure(row: &Value) -> Result<((String, String), Departure), String> {
    let word = |name| text(row, name).map(str::to_owned);
    Ok(((word("file")?, word("id")?), Departure { expect: word("expect")?, why: word("why")? }))
}
