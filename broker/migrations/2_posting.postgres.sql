-- Balances follow from transfers, and from nothing else. Accounts are locked in the order of their names, whatever the
-- statement posts, so that no two instances wait for each other. (NO KEY: foreign keys share the row meanwhile.)
CREATE FUNCTION post() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM accounts
        WHERE id IN (SELECT debit FROM posted UNION SELECT credit FROM posted) ORDER BY id FOR NO KEY UPDATE;
    UPDATE accounts SET balance = balance + sums.amount
        FROM (
            SELECT account, CAST(SUM(amount) AS BIGINT) AS amount FROM (
                SELECT debit AS account, -amount AS amount FROM posted
                UNION ALL
                SELECT credit, amount FROM posted
            ) AS legs GROUP BY account
        ) AS sums
        WHERE accounts.id = sums.account;
    RETURN NULL;
END $$;
CREATE TRIGGER post AFTER INSERT ON transfers REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION post();

-- What is booked stays booked.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'transfers are never changed or deleted, and accounts begin at 0';
END $$;
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE TRIGGER empty_at_first BEFORE INSERT ON accounts
    FOR EACH ROW WHEN (NEW.balance <> 0) EXECUTE FUNCTION refuse();
