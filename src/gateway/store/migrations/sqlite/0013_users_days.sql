-- One user's events of a time are found without looking at the user's others.
CREATE INDEX events_subject_time ON events (subject, time) WHERE subject IS NOT NULL;
CREATE INDEX events_email_time   ON events (email, time)   WHERE email   IS NOT NULL;
DROP INDEX events_email;
