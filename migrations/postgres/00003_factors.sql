-- Second factors and passkeys, and what is remembered around them.
--
-- Expands only: code that knows none of it runs on this schema.

-- +goose Up

-- What is remembered of an account's dealings with factors. The handle is random and never reused (WebAuthn L3 §14.6.1).
CREATE TABLE holders (
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
    handle     BYTEA            NOT NULL,
    version    BIGINT           NOT NULL,
    grace_at   BIGINT,
    asked_at   BIGINT
);
CREATE UNIQUE INDEX holders_handle ON holders (handle);

CREATE TABLE passkeys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential BYTEA            NOT NULL,
    name       TEXT             NOT NULL,
    model      TEXT             NOT NULL,
    synced     SMALLINT         NOT NULL,
    signs      BIGINT           NOT NULL,
    sealed     BYTEA            NOT NULL,
    sealed_by  BIGINT           NOT NULL,
    created_at BIGINT           NOT NULL,
    used_at    BIGINT,
    suspect_at BIGINT
);
CREATE UNIQUE INDEX passkeys_credential ON passkeys (credential);
CREATE INDEX passkeys_account ON passkeys (account_id);
CREATE INDEX passkeys_sealed_by ON passkeys (sealed_by);

CREATE TABLE totps (
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
    sealed     BYTEA            NOT NULL,
    sealed_by  BIGINT           NOT NULL,
    step       BIGINT           NOT NULL,
    failed     INTEGER          NOT NULL,
    failed_at  BIGINT,
    created_at BIGINT           NOT NULL,
    used_at    BIGINT
);
CREATE INDEX totps_sealed_by ON totps (sealed_by);

-- A code that was used is gone.
CREATE TABLE recovery_codes (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    hash       BYTEA            NOT NULL,
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (account_id, hash)
);

CREATE TABLE trusted_browsers (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    token_hash BYTEA            NOT NULL,
    created_at BIGINT           NOT NULL,
    seen_at    BIGINT           NOT NULL,
    ends_at    BIGINT           NOT NULL,
    user_agent TEXT             NOT NULL,
    source     TEXT             NOT NULL
);
CREATE INDEX trusted_browsers_account ON trusted_browsers (account_id);
CREATE INDEX trusted_browsers_ends ON trusted_browsers (ends_at);

-- An account has one temporary pass at most: the last.
CREATE TABLE passes (
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
    hash       BYTEA            NOT NULL,
    made_by    TEXT             NOT NULL,
    created_at BIGINT           NOT NULL,
    ends_at    BIGINT           NOT NULL
);
CREATE INDEX passes_ends ON passes (ends_at);

-- The challenge or the unproved secret of an enrolment or a proof. Its id says who began it: a flow or a session, and for what.
CREATE TABLE ceremonies (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed    BYTEA            NOT NULL,
    sealed_by BIGINT           NOT NULL,
    ends_at   BIGINT           NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX ceremonies_ends ON ceremonies (ends_at);
CREATE INDEX ceremonies_sealed_by ON ceremonies (sealed_by);

INSERT INTO events (id, at, kind, outcome, code, actor, subject, client, session, grant_id, request, detail, tally, pruned)
SELECT left(ms, 8) || '-' || right(ms, 4) || '-7' || left(random, 3) || '-8' || right(random, 3) || '-' || substr(random, 4, 12),
       (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
       'migration.applied', 'ok', '', 'system', 'schema', '', '', '', '', '{"version":"3"}', 0, 0
  FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::BIGINT), 12, '0') AS ms,
               replace(gen_random_uuid()::TEXT, '-', '') AS random) AS chosen;
