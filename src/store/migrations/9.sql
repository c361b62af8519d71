ALTER TABLE registrations ADD COLUMN rejected_at INTEGER;

DROP INDEX registrations_by_last_appearance;

CREATE INDEX registrations_by_worth ON registrations (rejected_at IS NULL, last_appeared_at);
