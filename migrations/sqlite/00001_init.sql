-- The foundation: people, applications, grants, keys, limits, events. Tables and columns are those of PostgreSQL's 00001.
--
-- Identifiers are text (UUIDv7), times INTEGER microseconds since 1970 in UTC, lists JSON in text, booleans 0 and 1.
-- Tables are STRICT: a column holds what it says.

-- +goose Up

CREATE TABLE persons (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    id         TEXT    NOT NULL PRIMARY KEY,
    person_id  TEXT    NOT NULL REFERENCES persons (id),
    username   TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    profile    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_person ON accounts (person_id);

-- Usernames and e-mail addresses share one space of names: neither may be taken for the other.
CREATE TABLE account_names (
    canonical  TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id)
) STRICT;
CREATE INDEX account_names_account ON account_names (account_id);

CREATE TABLE passwords (
    account_id TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id),
    sealed     BLOB    NOT NULL,
    sealed_by  INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX passwords_sealed_by ON passwords (sealed_by);

CREATE TABLE setup_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,
    purpose    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX setup_tokens_purpose ON setup_tokens (purpose);

CREATE TABLE sessions (
    id         TEXT    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    token_hash BLOB    NOT NULL,
    auth_time  INTEGER NOT NULL,
    acr        TEXT    NOT NULL,
    amr        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    idle_ends  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    ended_at   INTEGER,
    user_agent TEXT    NOT NULL,
    source     TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_ends ON sessions (ends_at);

CREATE TABLE clients (
    id                TEXT    NOT NULL PRIMARY KEY,
    name              TEXT    NOT NULL,
    kind              TEXT    NOT NULL,
    disabled          INTEGER NOT NULL,
    redirect_uris     TEXT    NOT NULL,
    post_logout_uris  TEXT    NOT NULL,
    auth_method       TEXT    NOT NULL,
    secrets           TEXT    NOT NULL,
    jwks              BLOB,
    jwks_uri          TEXT    NOT NULL,
    grants            TEXT    NOT NULL,
    scopes            TEXT    NOT NULL,
    resources         TEXT    NOT NULL,
    serves            TEXT    NOT NULL,
    default_resource  TEXT    NOT NULL,
    first_party       INTEGER NOT NULL,
    pkce_optional     INTEGER NOT NULL,
    claims            TEXT    NOT NULL,
    id_token_alg      TEXT    NOT NULL,
    userinfo_alg      TEXT    NOT NULL,
    opaque_tokens     INTEGER NOT NULL,
    lifetimes         TEXT    NOT NULL,
    no_rotation       INTEGER NOT NULL,
    refresh_leeway    INTEGER NOT NULL,
    refresh_ends_with TEXT    NOT NULL,
    uri               TEXT    NOT NULL,
    logo_uri          TEXT    NOT NULL,
    policy_uri        TEXT    NOT NULL,
    tos_uri           TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    version           INTEGER NOT NULL
) STRICT;

CREATE TABLE consents (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    client_id  TEXT    NOT NULL REFERENCES clients (id),
    scopes     TEXT    NOT NULL,
    declined   TEXT    NOT NULL,
    given_at   INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, client_id)
) STRICT;

-- Grants and tokens do not reference clients by a foreign key; PostgreSQL's migration says why.
CREATE TABLE grants (
    id           TEXT    NOT NULL PRIMARY KEY,
    state        TEXT    NOT NULL,
    client_id    TEXT    NOT NULL,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    session_id   TEXT    NOT NULL,
    code_hash    BLOB,
    code_ends    INTEGER,
    redirect_uri TEXT    NOT NULL,
    challenge    TEXT    NOT NULL,
    nonce        TEXT    NOT NULL,
    requested    TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    resources    TEXT    NOT NULL,
    claims       BLOB,
    auth_time    INTEGER,
    acr          TEXT    NOT NULL,
    amr          TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    claimed      INTEGER NOT NULL,
    rotated_at   INTEGER,
    refresh_ends INTEGER,
    idle_ends    INTEGER,
    created_at   INTEGER NOT NULL,
    redeemed_at  INTEGER,
    ended_at     INTEGER,
    ended_why    TEXT    NOT NULL,
    sweep_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX grants_code ON grants (code_hash);
CREATE INDEX grants_account ON grants (account_id, client_id);
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_session ON grants (session_id);
CREATE INDEX grants_sweep ON grants (sweep_at);

CREATE TABLE access_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,
    id         TEXT    NOT NULL,
    grant_id   TEXT    NOT NULL,
    client_id  TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    audience   TEXT    NOT NULL,
    auth_time  INTEGER,
    acr        TEXT    NOT NULL,
    amr        TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX access_tokens_grant ON access_tokens (grant_id);
CREATE INDEX access_tokens_ends ON access_tokens (ends_at);

CREATE TABLE denials (
    jti     TEXT    NOT NULL PRIMARY KEY,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX denials_ends ON denials (ends_at);

-- jti are chosen by clients, so one client's must not block another's.
CREATE TABLE assertions (
    client_id TEXT    NOT NULL,
    jti       TEXT    NOT NULL,
    ends_at   INTEGER NOT NULL,
    PRIMARY KEY (client_id, jti)
) STRICT;
CREATE INDEX assertions_ends ON assertions (ends_at);

CREATE TABLE flows (
    id           TEXT    NOT NULL PRIMARY KEY,
    browser_hash BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    body         TEXT    NOT NULL
) STRICT;
CREATE INDEX flows_ends ON flows (ends_at);

CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    alg        TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    public     BLOB    NOT NULL,
    sealed     BLOB    NOT NULL,
    sealed_by  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    active_at  INTEGER,
    retire_at  INTEGER,
    gone_at    INTEGER,
    ended_at   INTEGER
) STRICT;

CREATE TABLE limits (
    id      BLOB    NOT NULL,
    span    INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    tally   INTEGER NOT NULL,
    PRIMARY KEY (id, span)
) STRICT;
CREATE INDEX limits_ends ON limits (ends_at);

CREATE TABLE outbox (
    id         TEXT    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    message    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    tries      INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_next ON outbox (next_at);

-- position and hash are null until the sequencer has put the event into the log.
CREATE TABLE events (
    id         TEXT    NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    client     TEXT    NOT NULL,
    session    TEXT    NOT NULL,
    grant_id   TEXT    NOT NULL,
    request    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    tally      INTEGER NOT NULL,
    personal   TEXT,
    salt       BLOB,
    commitment BLOB,
    position   INTEGER,
    hash       BLOB,
    pruned     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_position ON events (position);
CREATE INDEX events_waiting ON events (id) WHERE position IS NULL;
CREATE INDEX events_prunings ON events (id) WHERE kind = 'audit.pruned';
CREATE INDEX events_subject ON events (subject, id);

CREATE TABLE log_hashes (
    id   INTEGER NOT NULL PRIMARY KEY,
    hash BLOB    NOT NULL
) STRICT;

CREATE TABLE checkpoints (
    size   INTEGER NOT NULL PRIMARY KEY,
    signed BLOB    NOT NULL
) STRICT;

-- A lease is a right to lead; the row 'keys' is also what LockKeys locks.
CREATE TABLE leases (
    name    TEXT    NOT NULL PRIMARY KEY,
    holder  TEXT    NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
INSERT INTO leases (name, holder, ends_at) VALUES ('keys', '', 0);

CREATE TABLE resource_servers (
    audience TEXT NOT NULL PRIMARY KEY,
    title    TEXT NOT NULL
) STRICT;

CREATE TABLE scopes (
    audience   TEXT    NOT NULL REFERENCES resource_servers (audience),
    name       TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    permission TEXT    NOT NULL,
    rank       INTEGER NOT NULL,
    PRIMARY KEY (audience, name)
) STRICT;

CREATE TABLE roles (
    name  TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL
) STRICT;

CREATE TABLE role_permissions (
    role       TEXT NOT NULL REFERENCES roles (name),
    permission TEXT NOT NULL,
    PRIMARY KEY (role, permission)
) STRICT;

CREATE TABLE role_assignments (
    subject TEXT NOT NULL,
    role    TEXT NOT NULL REFERENCES roles (name),
    PRIMARY KEY (subject, role)
) STRICT;
CREATE INDEX role_assignments_role ON role_assignments (role);

-- Named secrets of the deployment: MAC keys that every replica must share.
CREATE TABLE secrets (
    name       TEXT    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    sealed_by  INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- The keyset that seals all of the above, itself sealed by the master key that kek names.
CREATE TABLE keysets (
    name       TEXT    NOT NULL PRIMARY KEY,
    kek        TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

INSERT INTO events (id, at, kind, outcome, code, actor, subject, client, session, grant_id, request, detail, tally, pruned)
SELECT substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(random, 1, 3) || '-8' || substr(random, 30, 3) || '-' || substr(random, 4, 12),
       CAST(unixepoch('subsec') * 1000000 AS INTEGER),
       'migration.applied', 'ok', '', 'system', 'schema', '', '', '', '', '{"version":"1"}', 0, 0
  FROM (SELECT printf('%012x', CAST(unixepoch('subsec') * 1000 AS INTEGER)) AS ms, lower(hex(randomblob(16))) AS random);
