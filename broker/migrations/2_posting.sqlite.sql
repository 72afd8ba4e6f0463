-- Balances follow from transfers, and from nothing else.
CREATE TRIGGER post AFTER INSERT ON transfers BEGIN
    UPDATE accounts SET balance = balance - NEW.amount WHERE id = NEW.debit;
    UPDATE accounts SET balance = balance + NEW.amount WHERE id = NEW.credit;
END;

-- What is booked stays booked.
CREATE TRIGGER no_update BEFORE UPDATE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers are never changed'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers are never deleted'); END;
CREATE TRIGGER empty_at_first BEFORE INSERT ON accounts WHEN NEW.balance <> 0
BEGIN SELECT RAISE(ABORT, 'accounts begin at 0'); END;
