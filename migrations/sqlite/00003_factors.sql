-- Second factors and passkeys, and what is remembered around them. Tables and columns are those of PostgreSQL's 00003.

-- +goose Up

-- What is remembered of an account's dealings with factors. The handle is random and never reused (WebAuthn L3 §14.6.1).
CREATE TABLE holders (
    account_id TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id),
    handle     BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    grace_at   INTEGER,
    asked_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX holders_handle ON holders (handle);

CREATE TABLE passkeys (
    id         TEXT    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    credential BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    synced     INTEGER NOT NULL,
    signs      INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    sealed_by  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER,
    suspect_at INTEGER
) STRICT;
CREATE UNIQUE INDEX passkeys_credential ON passkeys (credential);
CREATE INDEX passkeys_account ON passkeys (account_id);
CREATE INDEX passkeys_sealed_by ON passkeys (sealed_by);

CREATE TABLE totps (
    account_id TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id),
    sealed     BLOB    NOT NULL,
    sealed_by  INTEGER NOT NULL,
    step       INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    failed_at  INTEGER,
    created_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;
CREATE INDEX totps_sealed_by ON totps (sealed_by);

-- A code that was used is gone.
CREATE TABLE recovery_codes (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    hash       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, hash)
) STRICT;

CREATE TABLE trusted_browsers (
    id         TEXT    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    token_hash BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    user_agent TEXT    NOT NULL,
    source     TEXT    NOT NULL
) STRICT;
CREATE INDEX trusted_browsers_account ON trusted_browsers (account_id);
CREATE INDEX trusted_browsers_ends ON trusted_browsers (ends_at);

-- An account has one temporary pass at most: the last.
CREATE TABLE passes (
    account_id TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id),
    hash       BLOB    NOT NULL,
    made_by    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX passes_ends ON passes (ends_at);

-- The challenge or the unproved secret of an enrolment or a proof. Its id says who began it: a flow or a session, and for what.
CREATE TABLE ceremonies (
    id        TEXT    NOT NULL PRIMARY KEY,
    sealed    BLOB    NOT NULL,
    sealed_by INTEGER NOT NULL,
    ends_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX ceremonies_ends ON ceremonies (ends_at);
CREATE INDEX ceremonies_sealed_by ON ceremonies (sealed_by);

INSERT INTO events (id, at, kind, outcome, code, actor, subject, client, session, grant_id, request, detail, tally, pruned)
SELECT substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(random, 1, 3) || '-8' || substr(random, 30, 3) || '-' || substr(random, 4, 12),
       CAST(unixepoch('subsec') * 1000000 AS INTEGER),
       'migration.applied', 'ok', '', 'system', 'schema', '', '', '', '', '{"version":"3"}', 0, 0
  FROM (SELECT printf('%012x', CAST(unixepoch('subsec') * 1000 AS INTEGER)) AS ms, lower(hex(randomblob(16))) AS random);
