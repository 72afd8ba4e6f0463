-- Who asked: whoever lost the answer of a COMMIT knows its own charge again. When a reversal is next tried, and how often
-- it was.
ALTER TABLE charges ADD COLUMN asker TEXT NOT NULL DEFAULT '';
ALTER TABLE charges ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE charges ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0;

-- When feedback settled it; 0 where none did.
ALTER TABLE visas ADD COLUMN settled BIGINT NOT NULL DEFAULT 0;
CREATE INDEX visas_refunded ON visas (agent, settled) WHERE state = 'refunded';
CREATE INDEX visas_earned ON visas (publisher, state, amount);

-- Books of development hold money from nowhere: they never become those of a real broker, nor the other way round.
CREATE TABLE purpose (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    development BIGINT NOT NULL CHECK (development IN (0, 1))
);
