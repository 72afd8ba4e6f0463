//! The one task of an instance that writes. Sales that wait together are committed together, so that the disk is waited
//! for once; everything else has a transaction of its own.

use std::time::Duration;

use sqlx::{AnyConnection, Executor as _};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::charge::{self, Asked, Charge, Reversal};
use super::database::Database;
use super::fund::{self, Funded};
use super::purpose;
use super::sale::{self, Sale, Sold};
use super::settle::{self, Settled, Word};
use super::sql::Transfer;
use super::{Booked, Unavailable};

type Answer<T> = oneshot::Sender<Booked<T>>;

/// What the writer can be asked for.
pub(super) enum Work {
    Sell(Sale, Answer<Sold>),
    SellCharged(Sale, Answer<Sold>),
    OpenCharge(Charge, String, Answer<Asked>),
    CloseCharge(String, bool, Answer<()>),
    OverdueCharges(i64, i64, Answer<Vec<Reversal>>),
    ChargeReversed(String, Answer<()>),
    PostponeReversal(String, i64, Answer<()>),
    Settle(Word, Answer<Settled>),
    ReleaseDue(i64, Answer<usize>),
    Fund(Transfer, Answer<Funded>),
    Claim(bool, Answer<bool>),
    Ping(Answer<()>),
}

/// Sales of one transaction, at most.
const BATCH: usize = 256;
/// Times that a transaction is tried: another instance may have been first, or the connection has been lost.
const TRIES: u32 = 4;
/// For one of them, beyond what the database allows a statement: a host that vanished says nothing, ever.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Writer {
    database: Database,
    connection: Option<AnyConnection>,
    /// Where the sales are waited for.
    askers: Handle,
}

/// Runs the writer on a thread of its own; the receiver tells when it has ended.
pub(super) fn spawn(writer: Writer, queue: mpsc::Receiver<Work>) -> std::io::Result<oneshot::Receiver<()>> {
    let (ending, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
        runtime.block_on(writer.run(queue));
        let _ = ending.send(());
    })?;
    Ok(ended)
}

impl Writer {
    /// To be made on the runtime of those who ask.
    pub(super) fn new(database: Database) -> Self {
        Self { database, connection: None, askers: Handle::current() }
    }

    /// Until every handle is dropped and the queue is empty.
    async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut waiting, BATCH).await > 0 {
            let mut sales = Vec::with_capacity(waiting.len());
            for work in waiting.drain(..) {
                match work {
                    Work::Sell(sale, answer) => sales.push((sale, answer)),
                    other => self.single(other).await,
                }
            }
            self.sell(sales).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    async fn sell(&mut self, waiting: Vec<(Sale, Answer<Sold>)>) {
        if waiting.is_empty() {
            return;
        }
        let (sales, answers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let sold = self.transact(async |connection, database| sale::sell(connection, database, &sales).await).await;
        // All are told over there: to wake each of them from here would take a system call each.
        self.askers.spawn(async move {
            match sold {
                Ok(sold) => answers.into_iter().zip(sold).for_each(|(answer, sold)| reply(answer, Ok(sold))),
                Err(Unavailable(why)) => {
                    answers.into_iter().for_each(|answer| reply(answer, Err(Unavailable(why.clone()))));
                }
            }
        });
    }

    async fn single(&mut self, work: Work) {
        match work {
            Work::Sell(sale, answer) => self.sell(vec![(sale, answer)]).await,
            Work::SellCharged(sale, answer) => {
                reply(answer, self.transact(async |c, _| sale::sell_charged(c, &sale).await).await);
            }
            Work::OpenCharge(charge, asker, answer) => {
                reply(answer, self.transact(async |c, _| charge::open(c, &charge, &asker).await).await);
            }
            Work::CloseCharge(jti, reversing, answer) => {
                reply(answer, self.transact(async |c, _| charge::close(c, &jti, reversing).await).await);
            }
            Work::OverdueCharges(before_s, now_s, answer) => {
                reply(answer, self.transact(async |c, _| charge::overdue(c, before_s, now_s).await).await);
            }
            Work::ChargeReversed(jti, answer) => {
                reply(answer, self.transact(async |c, _| charge::reversed(c, &jti).await).await);
            }
            Work::PostponeReversal(jti, next_s, answer) => {
                reply(answer, self.transact(async |c, _| charge::postpone(c, &jti, next_s).await).await);
            }
            Work::Settle(word, answer) => {
                reply(answer, self.transact(async |c, database| settle::settle(c, database, &word).await).await);
            }
            Work::ReleaseDue(now_s, answer) => {
                reply(answer, self.transact(async |c, database| settle::release_due(c, database, now_s).await).await);
            }
            Work::Fund(transfer, answer) => {
                reply(answer, self.transact(async |c, database| fund::book(c, database, &transfer).await).await);
            }
            Work::Claim(development, answer) => {
                reply(answer, self.transact(async |c, _| purpose::claim(c, development).await).await);
            }
            // Whoever has stopped waiting has seen enough: nothing piles up while the database is away.
            Work::Ping(answer) if answer.is_closed() => {}
            Work::Ping(answer) => {
                reply(answer, self.transact(async |c, _| c.execute("SELECT 1").await.map(drop)).await);
            }
        }
    }

    /// One transaction, committed when this returns. It is tried again where the database says that it was in
    /// another's way, and with a new connection where the old one is gone. The answer to a COMMIT may be lost, too: every
    /// work finds what it has booked before, and says the same the second time.
    async fn transact<T>(&mut self, work: impl AsyncFn(&mut AnyConnection, &Database) -> sqlx::Result<T>) -> Booked<T> {
        let mut tries = 0;
        loop {
            tries += 1;
            // What is given up here takes its connection along: nobody knows what state that is in.
            let attempt = tokio::time::timeout(PATIENCE, self.attempt(&work)).await;
            match attempt.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))) {
                Ok(done) => return Ok(done),
                Err(error) if tries < TRIES && is_passing(&error) => {
                    tracing::debug!(%error, "transaction repeated");
                    tokio::time::sleep(Duration::from_millis(20 << tries)).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger cannot be written");
                    return Err(error.into());
                }
            }
        }
    }

    async fn attempt<T>(
        &mut self,
        work: &impl AsyncFn(&mut AnyConnection, &Database) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        // Taken out, so that a connection on which anything went wrong is never used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await?,
        };
        connection.execute(self.database.begin()).await?;
        match work(&mut connection, &self.database).await {
            Ok(done) => {
                connection.execute("COMMIT").await?;
                self.connection = Some(connection);
                Ok(done)
            }
            Err(error) => {
                if connection.execute("ROLLBACK").await.is_ok() {
                    self.connection = Some(connection);
                }
                Err(error)
            }
        }
    }
}

/// Whoever has gone away does not want the answer; the work is done all the same.
fn reply<T>(answer: Answer<T>, booked: Booked<T>) {
    let _ = answer.send(booked);
}

/// Whether the same transaction may well succeed a moment later.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            // PostgreSQL: serialization_failure, deadlock_detected, unique_violation (another instance was first),
            // lock_not_available, admin_shutdown, crash_shutdown, cannot_connect_now. SQLite: SQLITE_BUSY.
            const PASSING: [&str; 8] = ["40001", "40P01", "23505", "55P03", "57P01", "57P02", "57P03", "5"];
            error.code().is_some_and(|code| PASSING.contains(&&*code))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}
