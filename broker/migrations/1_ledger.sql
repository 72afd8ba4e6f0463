-- The books, the same on SQLite and PostgreSQL. Money is integer micro-units. Times are seconds since 1970.

-- agent/<agent_id>: prepaid, to spend.      held/<agent_id>: paid for visas whose dispute window is open.
-- publisher/<name>: earned, to be paid out. external/<name>: the world outside, whose balance mirrors ours.
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    balance BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT no_debt CHECK (balance >= 0 OR id LIKE 'external/%')
);

-- Both legs of an entry are one row, so that none can be without the other and every transaction sums to zero.
-- A trigger of the next migration posts it to the balances.
CREATE TABLE transfers (
    id TEXT PRIMARY KEY,
    debit TEXT NOT NULL REFERENCES accounts (id),
    credit TEXT NOT NULL REFERENCES accounts (id),
    amount BIGINT NOT NULL CHECK (amount > 0),
    at BIGINT NOT NULL,
    CHECK (debit <> credit)
);

CREATE VIEW entries AS
    SELECT id, debit AS account, -amount AS amount FROM transfers
    UNION ALL
    SELECT id, credit AS account, amount FROM transfers;

-- A visa's name is that of the transfer that holds its price: there is no visa without it.
CREATE TABLE visas (
    jti TEXT PRIMARY KEY REFERENCES transfers (id),
    agent TEXT NOT NULL,
    publisher TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    -- What it takes to write the token again: whose key, what for, when, for how long, by which key of ours.
    jkt TEXT NOT NULL,
    purpose TEXT NOT NULL,
    iat BIGINT NOT NULL,
    lifetime BIGINT NOT NULL,
    kid TEXT NOT NULL,
    -- When the dispute window ends.
    due BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('held', 'released', 'refunded')),
    -- In millionths; -1 where no feedback settled it.
    score BIGINT NOT NULL DEFAULT -1
);

CREATE INDEX visas_due ON visas (due) WHERE state = 'held';

-- What a payment provider was asked, written down before it was asked.
CREATE TABLE charges (
    jti TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    publisher TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    at BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asked', 'paid', 'refused', 'reversing', 'reversed'))
);

CREATE INDEX charges_open ON charges (at) WHERE state IN ('asked', 'reversing');

INSERT INTO accounts (id) VALUES ('external/funding'), ('external/payout'), ('external/provider');
