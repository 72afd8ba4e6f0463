//! `imagxp size`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use imagxp::{KeyCache, ReplayCache, Shape, Sizes};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::print;

/// Compute how large the caches must be
#[derive(Args)]
#[command(after_help = "\
A replay cache must remember every verified request for as long as it could pass again: 360 s by default, 3,605 s for
a visa that is good for one request. slots = (rate x 360 + visas x 3605) / 0.8. A full cache refuses (503).
A key cache holds agents, and for the busy ones a table with which verification is several times faster.

Examples:
  imagxp size --rate 1000
  imagxp size --rate 50 --names 256 --tables 8 --table-kib 8      # a gateway
  imagxp size --rate 1000 --json")]
pub(crate) struct Size {
    /// Verified requests a second, at the peak
    #[arg(long, value_name = "N")]
    rate: u64,
    /// Single-use visas a second
    #[arg(long, value_name = "N", default_value_t = 0)]
    visas: u64,
    /// Agents to know, refused ones included
    #[arg(long, value_name = "N", default_value_t = Sizes::HOSTED.names)]
    names: u32,
    /// Issuers of tokens
    #[arg(long, value_name = "N", default_value_t = Sizes::HOSTED.issuers)]
    issuers: u32,
    /// Agents with a table
    #[arg(long, value_name = "N", default_value_t = Sizes::HOSTED.tables)]
    tables: u32,
    /// Size of a table, KiB
    #[arg(long, value_enum, value_name = "KIB", default_value_t = Table::Kib64)]
    table_kib: Table,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Table {
    #[value(name = "2")]
    Kib2,
    #[value(name = "8")]
    Kib8,
    #[value(name = "16")]
    Kib16,
    #[value(name = "32")]
    Kib32,
    #[value(name = "64")]
    Kib64,
    #[value(name = "320")]
    Kib320,
}

impl Table {
    fn shape(self) -> Shape {
        match self {
            Self::Kib2 => Shape::Kib2,
            Self::Kib8 => Shape::Kib8,
            Self::Kib16 => Shape::Kib16,
            Self::Kib32 => Shape::Kib32,
            Self::Kib64 => Shape::Kib64,
            Self::Kib320 => Shape::Kib320,
        }
    }
}

impl Size {
    pub(crate) fn run(self) -> Outcome {
        let too_many = || Failure::usage("that is more than memory can hold", "give the rate of one machine, a second");
        let slots = slots(self.rate, self.visas).ok_or_else(too_many)?;
        let replay = ReplayCache::words(slots);
        let sizes =
            Sizes { names: self.names, issuers: self.issuers, tables: self.tables, shape: self.table_kib.shape() };
        if self.tables > 0 && sizes.shape.words() == 0 {
            print::remark("this build has no tables (feature `ec` is off): they are not counted");
        }
        let keys = KeyCache::words(&sizes);
        if keys == 0 {
            return Err(too_many());
        }
        if self.json {
            let part = |words: usize| json!({"words": words, "bytes": words.saturating_mul(8)});
            let mut report = json!({"replay_cache": part(replay), "key_cache": part(keys)});
            report["replay_cache"]["slots"] = slots.into();
            print::line(&report.to_string())?;
        } else {
            let part = |words: usize| format!("{words} words of 8 bytes = {}", bytes(words.saturating_mul(8)));
            print::line("replay cache, one for all workers and threads")?;
            print::row("slots", &slots.to_string())?;
            print::row("memory", &part(replay))?;
            print::line("key cache, one for each worker or for all threads")?;
            print::row("agents", &format!("{} names, {} issuers, {} tables", self.names, self.issuers, self.tables))?;
            print::row("memory", &part(keys))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// threats.md REP-2.
fn slots(rate: u64, visas: u64) -> Option<usize> {
    let live = rate.checked_mul(360)?.checked_add(visas.checked_mul(3_605)?)?;
    let slots = live.checked_mul(5)?.div_ceil(4);
    // Three words a slot must still be a size.
    usize::try_from(slots).ok().filter(|slots| slots.checked_mul(64).is_some())
}

fn bytes(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_threat_model_says() {
        assert_eq!(slots(1_000, 0), Some(450_000));
        assert_eq!(slots(1, 1), Some(4_957));
        assert_eq!(slots(u64::MAX, 0), None);
        assert_eq!(slots(u64::MAX / 8_000, 0), None);
    }
}
