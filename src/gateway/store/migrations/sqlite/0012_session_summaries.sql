-- What one caller did with one model in one session, kept up with the events: a list of sessions does not read them all.
CREATE TABLE session_summaries (
    id         INTEGER PRIMARY KEY,
    session    TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    email      TEXT,
    first_time INTEGER NOT NULL,
    last_time  INTEGER NOT NULL,
    seq        INTEGER NOT NULL,                            -- of the last event
    exchanges  INTEGER NOT NULL,
    sent       INTEGER NOT NULL,                            -- bytes of requests
    received   INTEGER NOT NULL,                            -- bytes of answers
    recorded   INTEGER NOT NULL,                            -- exchanges with a recording
    UNIQUE (session, provider, subject, model)
) STRICT;
CREATE INDEX session_summaries_seq     ON session_summaries (seq);
CREATE INDEX session_summaries_subject ON session_summaries (subject, seq);
CREATE INDEX session_summaries_email   ON session_summaries (email, seq) WHERE email IS NOT NULL;
CREATE INDEX session_summaries_model   ON session_summaries (model, seq);

-- How often each outcome, verdict and masked entity.
CREATE TABLE session_counts (
    summary INTEGER NOT NULL,
    what    TEXT    NOT NULL,                               -- outcome, verdict, masked
    name    TEXT    NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (summary, what, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_counts_name ON session_counts (what, name, summary);

-- What there is already.
INSERT INTO session_summaries
    (session, provider, subject, model, email, first_time, last_time, seq, exchanges, sent, received, recorded)
SELECT session, coalesce(provider, ''), coalesce(subject, ''), coalesce(model, ''), max(email), min(time), max(time), max(seq), count(*),
       coalesce(sum(json_extract(json, '$.request.bytes')), 0), coalesce(sum(json_extract(json, '$.response.bytes')), 0),
       sum(json_type(json, '$.recording') IS NOT NULL)
FROM events WHERE kind = 'exchange' AND session IS NOT NULL AND json_valid(json)
GROUP BY session, coalesce(provider, ''), coalesce(subject, ''), coalesce(model, '');

INSERT INTO session_counts (summary, what, name, number)
SELECT s.id, 'outcome', e.outcome, count(*) FROM events AS e JOIN session_summaries AS s
    ON s.session = e.session AND s.provider = coalesce(e.provider, '') AND s.subject = coalesce(e.subject, '') AND s.model = coalesce(e.model, '')
WHERE e.kind = 'exchange' AND e.outcome IS NOT NULL GROUP BY s.id, e.outcome;

INSERT INTO session_counts (summary, what, name, number)
SELECT s.id, 'verdict', e.verdict, count(*) FROM events AS e JOIN session_summaries AS s
    ON s.session = e.session AND s.provider = coalesce(e.provider, '') AND s.subject = coalesce(e.subject, '') AND s.model = coalesce(e.model, '')
WHERE e.kind = 'exchange' AND e.verdict IS NOT NULL GROUP BY s.id, e.verdict;

INSERT INTO session_counts (summary, what, name, number)
SELECT s.id, 'masked', m.key, sum(m.value) FROM events AS e JOIN session_summaries AS s
    ON s.session = e.session AND s.provider = coalesce(e.provider, '') AND s.subject = coalesce(e.subject, '') AND s.model = coalesce(e.model, ''),
    json_each(CASE WHEN json_valid(e.json) THEN e.json ELSE '{}' END, '$.masked') AS m
WHERE e.kind = 'exchange' GROUP BY s.id, m.key;
