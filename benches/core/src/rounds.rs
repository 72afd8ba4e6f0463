//! Interleaved measurement: every candidate runs once a round, so that whatever else the machine does hits all alike.

use std::io::IsTerminal as _;
use std::time::Instant;

/// Something to measure.
pub struct Candidate<'a> {
    /// Its name in the report.
    pub name: String,
    run: Box<dyn FnMut() + 'a>,
    /// Calls of `run` in a round.
    calls: u32,
    /// What one call does so many times.
    per_call: u32,
    samples: Vec<f64>,
}

impl<'a> Candidate<'a> {
    /// `calls` calls of `run` a round, each of which does `per_call` things.
    pub fn new(name: &str, calls: u32, per_call: u32, run: impl FnMut() + 'a) -> Self {
        Self { name: name.to_owned(), run: Box::new(run), calls, per_call, samples: Vec::new() }
    }

    fn round(&mut self) {
        (self.run)(); // warm
        let started = Instant::now();
        for _ in 0..self.calls {
            (self.run)();
        }
        let us = started.elapsed().as_secs_f64() * 1e6;
        self.samples.push(us / f64::from(self.calls * self.per_call));
    }
}

/// The cost of one thing, microseconds.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Its name in the report.
    pub name: String,
    /// The fastest round.
    pub min_us: f64,
    /// The middle round.
    pub median_us: f64,
}

impl Cost {
    /// How far the middle round is from the fastest, as a part of it.
    pub fn spread(&self) -> f64 {
        self.median_us / self.min_us - 1.0
    }
}

/// Runs all candidates for so many rounds.
pub fn measure(mut candidates: Vec<Candidate<'_>>, rounds: u32) -> Vec<Cost> {
    let watched = std::io::stderr().is_terminal();
    for round in 0..rounds {
        if watched && round % 50 == 0 {
            eprint!("\r  round {round} of {rounds}");
        }
        candidates.iter_mut().for_each(Candidate::round);
    }
    if watched {
        eprint!("\r                         \r");
    }
    candidates
        .into_iter()
        .map(|mut candidate| {
            candidate.samples.sort_by(f64::total_cmp);
            let median_us = candidate.samples[candidate.samples.len() / 2];
            Cost { name: candidate.name, min_us: candidate.samples[0], median_us }
        })
        .collect()
}

/// The cost of this name.
pub fn cost<'c>(costs: &'c [Cost], name: &str) -> &'c Cost {
    costs.iter().find(|cost| cost.name == name).unwrap_or_else(|| panic!("{name} was not measured"))
}
