//! Where the books are: a SQLite file, or a PostgreSQL database.

use std::fmt;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _, SqlSafeStr as _};

use super::{Booked, Unavailable};

/// A database by its URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    url: String,
    dialect: Dialect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Location {
    /// `postgres://user:password@host/database`, `sqlite:///path/file`, or the path of a SQLite file.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self { url: text.to_owned(), dialect: Dialect::Postgres });
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
        if path.is_empty() || path.contains("://") || path.contains(['?', '#', '%']) {
            return Err("write it as postgres://user@host/database, or as the path of a SQLite file".to_owned());
        }
        Ok(Self { url: format!("sqlite://{path}?mode=rwc"), dialect: Dialect::Sqlite })
    }

    /// `SQLite` or `PostgreSQL`
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "SQLite",
            Dialect::Postgres => "PostgreSQL",
        }
    }
}

/// Without the password that a URL may hold.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Opens connections.
pub(super) struct Database {
    location: Location,
}

/// Until a connection is there.
const PATIENCE: Duration = Duration::from_secs(5);

impl Database {
    pub(super) fn new(location: Location) -> Self {
        sqlx::any::install_default_drivers();
        Self { location }
    }

    /// A connection to write by.
    pub(super) async fn connect(&self) -> sqlx::Result<AnyConnection> {
        let opening = AnyConnection::connect(&self.location.url);
        let mut connection = tokio::time::timeout(PATIENCE, opening).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        connection.execute(self.settings()).await?;
        Ok(connection)
    }

    /// What is said to every new connection. SQLite syncs its log at every commit: a committed sale survives a power cut.
    /// What undoes half a statement stays in memory (it would be a file for each), and its log grows to 16 MiB before it is
    /// copied into the tables.
    fn settings(&self) -> &'static str {
        match self.location.dialect {
            Dialect::Sqlite => {
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;
                PRAGMA wal_autocheckpoint = 4096;"
            }
            Dialect::Postgres => {
                "SET synchronous_commit = on; SET statement_timeout = '10s'; SET lock_timeout = '5s';
                SET idle_in_transaction_session_timeout = '15s'"
            }
        }
    }

    /// Connections to read by, beside the writer.
    pub(super) fn pool(&self) -> AnyPool {
        let settings = self.settings();
        let options = AnyPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
        let options = options
            .after_connect(move |connection, _| Box::pin(async move { connection.execute(settings).await.map(drop) }));
        match self.location.url.parse() {
            Ok(url) => options.connect_lazy_with(url),
            // Unreachable in practice: `migrate` has connected to it.
            Err(_) => options.connect_lazy_with("sqlite::memory:".parse().unwrap_or_else(|_| unreachable!())),
        }
    }

    /// The tables as this version wants them. Instances that start together wait for each other.
    pub(super) async fn migrate(&self) -> Booked<()> {
        let posting = match self.location.dialect {
            Dialect::Sqlite => include_str!("../../migrations/2_posting.sqlite.sql"),
            Dialect::Postgres => include_str!("../../migrations/2_posting.postgres.sql"),
        };
        let steps = [
            (1, "ledger", include_str!("../../migrations/1_ledger.sql")),
            (2, "posting", posting),
            (3, "safety", include_str!("../../migrations/3_safety.sql")),
        ];
        let step = |(version, name, sql): (i64, &'static str, &'static str)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        };
        let migrator = Migrator::with_migrations(steps.into_iter().map(step).collect());
        let mut connection = self.connect().await?;
        if self.location.dialect == Dialect::Postgres {
            // An index of a large table takes its time, and so does waiting for another instance that makes it.
            connection.execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
        }
        migrator.run(&mut connection).await.map_err(|error| Unavailable(error.to_string()))?;
        connection.close().await?;
        Ok(())
    }

    /// Begins a transaction that will write: SQLite takes its one write lock now, not half way.
    pub(super) fn begin(&self) -> &'static str {
        match self.location.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        }
    }

    /// Begins a transaction that sees one moment. A report may take longer than a sale.
    pub(super) fn snapshot(&self) -> &'static str {
        match self.location.dialect {
            Dialect::Sqlite => "BEGIN",
            Dialect::Postgres => {
                "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '10min'"
            }
        }
    }

    /// Behind a SELECT whose rows will be changed. SQLite has one writer at a time, and no such clause.
    pub(super) fn lock(&self) -> &'static str {
        match self.location.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR NO KEY UPDATE",
        }
    }

    /// The same, but rows that another instance works on are left to it.
    pub(super) fn lock_free(&self) -> &'static str {
        match self.location.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR NO KEY UPDATE SKIP LOCKED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Location;

    #[test]
    fn places() {
        assert_eq!(Location::parse("postgres://a:secret@b/c").unwrap().name(), "PostgreSQL");
        for text in ["broker.sqlite", "sqlite:///var/lib/broker.sqlite", "sqlite:broker.sqlite"] {
            assert_eq!(Location::parse(text).unwrap().name(), "SQLite", "{text}");
        }
        for text in ["", "mysql://a/b", "sqlite:///a?mode=ro"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        let shown = format!("{:?}", Location::parse("postgres://a:secret@b/c").unwrap());
        assert!(!shown.contains("secret"));
    }
}
