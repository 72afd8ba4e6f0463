//! The books: accounts, transfers between them, and the visas that were paid for.
//!
//! Every change is a database transaction; what a call answers is committed. Each transfer has a name, and a name can be
//! booked once: a repeated sale, settlement or credit finds its transfer there. All writing of an instance goes through
//! one task, which commits many sales together (`writer`); several instances share one PostgreSQL, whose rows they lock
//! in the order of their names.

mod charge;
mod database;
mod fund;
mod purpose;
mod report;
mod sale;
mod settle;
mod sql;
mod writer;

use std::time::Duration;

use imagxp::policy::Micros;
use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

pub use charge::{Asked, Backlog, Charge, Reversal};
pub use database::Location;
pub use fund::Funded;
pub use report::{Audit, Settlement};
pub use sale::{Sale, Sold};
pub use settle::{Settled, State, Word};

use database::Database;
use writer::{Work, Writer};

/// The database does not answer, or refuses. The text is for the operator.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<sqlx::Error> for Unavailable {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

/// What a call on the books comes to.
pub type Booked<T> = Result<T, Unavailable>;

/// A handle on the books; clones share one writer.
#[derive(Clone)]
pub struct Ledger {
    work: mpsc::Sender<Work>,
    reads: AnyPool,
    snapshot: &'static str,
}

/// Requests that wait for the writer; more wait for a place.
const QUEUE: usize = 4_096;

impl Ledger {
    /// Opens the books, and makes or migrates their tables. The writer has a thread of its own, and ends when the last
    /// handle is dropped: the receiver tells when.
    ///
    /// # Errors
    /// The database cannot be reached, or its tables are of a later version.
    pub async fn open(location: &Location) -> Booked<(Self, oneshot::Receiver<()>)> {
        let database = Database::new(location.clone());
        database.migrate().await?;
        let (reads, snapshot) = (database.pool(), database.snapshot());
        let (work, queue) = mpsc::channel(QUEUE);
        let ended = writer::spawn(Writer::new(database), queue).map_err(|error| Unavailable(error.to_string()))?;
        Ok((Self { work, reads, snapshot }, ended))
    }

    /// Sells a visa for prepaid money.
    ///
    /// # Errors
    /// [`Unavailable`]: it is not known whether the sale is booked; ask again with the same name.
    pub async fn sell(&self, sale: Sale) -> Booked<Sold> {
        self.ask(|answer| Work::Sell(sale, answer)).await
    }

    /// Sells a visa that the payment provider pays for, if the charge is still open.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub async fn sell_charged(&self, sale: Sale) -> Booked<Sold> {
        self.ask(|answer| Work::SellCharged(sale, answer)).await
    }

    /// Writes down that the payment provider is about to be asked.
    ///
    /// # Errors
    /// [`Unavailable`]: do not ask it.
    pub async fn open_charge(&self, charge: Charge) -> Booked<Asked> {
        let asker: [u8; 16] = imagxp_host::system::random().map_err(|error| Unavailable(error.to_string()))?;
        let asker = asker.iter().map(|byte| format!("{byte:02x}")).collect();
        self.ask(|answer| Work::OpenCharge(charge, asker, answer)).await
    }

    /// Closes an open charge: the provider said no, or (`reversing`) it is not known what it said.
    ///
    /// # Errors
    /// [`Unavailable`]: it stays open, and [`Self::overdue_charges`] finds it later.
    pub async fn close_charge(&self, jti: String, reversing: bool) -> Booked<()> {
        self.ask(|answer| Work::CloseCharge(jti, reversing, answer)).await
    }

    /// Charges to reverse now: those marked so, and those opened before `before_s` by an instance that did not come back.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn overdue_charges(&self, before_s: i64, now_s: i64) -> Booked<Vec<Reversal>> {
        self.ask(|answer| Work::OverdueCharges(before_s, now_s, answer)).await
    }

    /// The provider has not taken note; it is told again at `next_s`.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn postpone_reversal(&self, jti: String, next_s: i64) -> Booked<()> {
        self.ask(|answer| Work::PostponeReversal(jti, next_s, answer)).await
    }

    /// How much is still to be reversed.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn backlog(&self) -> Booked<Backlog> {
        within(READ_PATIENCE, async { Ok(charge::backlog(&self.reads).await?) }).await
    }

    /// The provider has taken note that the charge is void.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn charge_reversed(&self, jti: String) -> Booked<()> {
        self.ask(|answer| Work::ChargeReversed(jti, answer)).await
    }

    /// Settles a visa by its buyer's feedback, once.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn settle(&self, word: Word) -> Booked<Settled> {
        self.ask(|answer| Work::Settle(word, answer)).await
    }

    /// Releases payments whose dispute window has ended, so many at a time; how many they were.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn release_due(&self, now_s: i64) -> Booked<usize> {
        self.ask(|answer| Work::ReleaseDue(now_s, answer)).await
    }

    /// Credits an agent's account. `key` names the payment: the same is booked once.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn credit(&self, agent: &str, amount: Micros, key: &str, now_s: i64) -> Booked<Funded> {
        let transfer = fund::credit(agent, amount, key, now_s);
        self.ask(|answer| Work::Fund(transfer, answer)).await
    }

    /// Books that a publisher was paid. `key` names the payment: the same is booked once.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn pay_out(&self, publisher: &str, amount: Micros, key: &str, now_s: i64) -> Booked<Funded> {
        let transfer = fund::payout(publisher, amount, key, now_s);
        self.ask(|answer| Work::Fund(transfer, answer)).await
    }

    /// What each publisher has earned, or the one that is named.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn settlement(&self, publisher: Option<&str>) -> Booked<Vec<Settlement>> {
        within(REPORT_PATIENCE, report::settlement(&self.reads, self.snapshot, publisher)).await
    }

    /// What an agent has left to spend; none without an account.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn balance(&self, agent: &str) -> Booked<Option<Micros>> {
        within(READ_PATIENCE, report::balance(&self.reads, &agent_account(agent))).await
    }

    /// Adds everything up again.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn audit(&self) -> Booked<Audit> {
        within(REPORT_PATIENCE, report::audit(&self.reads, self.snapshot)).await
    }

    /// Claims the books for development, or for real; whether they are for that. New books are.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn claim(&self, development: bool) -> Booked<bool> {
        self.ask(|answer| Work::Claim(development, answer)).await
    }

    /// Whether the writer writes, within three seconds.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn ping(&self) -> Booked<()> {
        within(Duration::from_secs(3), self.ask(Work::Ping)).await
    }

    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<Booked<T>>) -> Work) -> Booked<T> {
        let gone = || Unavailable("the writer has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.work.send(work(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// A question, and a report on all of the books (the database's own limit is the same).
const READ_PATIENCE: Duration = Duration::from_secs(15);
const REPORT_PATIENCE: Duration = Duration::from_secs(600);

/// A host that vanished says nothing, ever.
async fn within<T>(patience: Duration, reading: impl Future<Output = Booked<T>>) -> Booked<T> {
    let late = |_| Unavailable("no answer in time".to_owned());
    tokio::time::timeout(patience, reading).await.map_err(late)?
}

const FUNDING: &str = "external/funding";
const PAYOUT: &str = "external/payout";
const PROVIDER: &str = "external/provider";

fn agent_account(agent: &str) -> String {
    format!("agent/{agent}")
}

fn held_account(agent: &str) -> String {
    format!("held/{agent}")
}

fn publisher_account(publisher: &str) -> String {
    format!("publisher/{publisher}")
}
