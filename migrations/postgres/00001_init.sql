-- The foundation: people, applications, grants, keys, limits, events.
--
-- Identifiers are text (UUIDv7), times BIGINT microseconds since 1970 in UTC, lists JSON in text, booleans SMALLINT.
-- Keys collate "C", so that pages of a list come in the same order as on SQLite, and comparisons are cheap.
-- Rows that are rewritten again and again leave room in their pages (fillfactor), and no index names a column that such
-- an update changes: the new version then stays in the page (heap-only tuple), and no index is touched. Tables whose rows die
-- soon are vacuumed after a small share of them has.

-- +goose Up

CREATE TABLE persons (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT             NOT NULL,
    created_at BIGINT           NOT NULL
);

CREATE TABLE accounts (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id  TEXT COLLATE "C" NOT NULL REFERENCES persons (id),
    username   TEXT             NOT NULL,
    state      TEXT             NOT NULL,
    profile    TEXT             NOT NULL,
    created_at BIGINT           NOT NULL,
    updated_at BIGINT           NOT NULL,
    version    BIGINT           NOT NULL
);
CREATE INDEX accounts_person ON accounts (person_id);

-- Usernames and e-mail addresses share one space of names: neither may be taken for the other.
CREATE TABLE account_names (
    canonical  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id)
);
CREATE INDEX account_names_account ON account_names (account_id);

CREATE TABLE passwords (
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
    sealed     BYTEA            NOT NULL,
    sealed_by  BIGINT           NOT NULL,
    changed_at BIGINT           NOT NULL
);
CREATE INDEX passwords_sealed_by ON passwords (sealed_by);

CREATE TABLE setup_tokens (
    hash       BYTEA  NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX setup_tokens_purpose ON setup_tokens (purpose);

CREATE TABLE sessions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    token_hash BYTEA            NOT NULL,
    auth_time  BIGINT           NOT NULL,
    acr        TEXT             NOT NULL,
    amr        TEXT             NOT NULL,
    created_at BIGINT           NOT NULL,
    seen_at    BIGINT           NOT NULL,
    idle_ends  BIGINT           NOT NULL,
    ends_at    BIGINT           NOT NULL,
    ended_at   BIGINT,
    user_agent TEXT             NOT NULL,
    source     TEXT             NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_ends ON sessions (ends_at);

CREATE TABLE clients (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name              TEXT             NOT NULL,
    kind              TEXT             NOT NULL,
    disabled          SMALLINT         NOT NULL,
    redirect_uris     TEXT             NOT NULL,
    post_logout_uris  TEXT             NOT NULL,
    auth_method       TEXT             NOT NULL,
    secrets           TEXT             NOT NULL,
    jwks              BYTEA,
    jwks_uri          TEXT             NOT NULL,
    grants            TEXT             NOT NULL,
    scopes            TEXT             NOT NULL,
    resources         TEXT             NOT NULL,
    serves            TEXT             NOT NULL,
    default_resource  TEXT             NOT NULL,
    first_party       SMALLINT         NOT NULL,
    pkce_optional     SMALLINT         NOT NULL,
    claims            TEXT             NOT NULL,
    id_token_alg      TEXT             NOT NULL,
    userinfo_alg      TEXT             NOT NULL,
    opaque_tokens     SMALLINT         NOT NULL,
    lifetimes         TEXT             NOT NULL,
    no_rotation       SMALLINT         NOT NULL,
    refresh_leeway    BIGINT           NOT NULL,
    refresh_ends_with TEXT             NOT NULL,
    uri               TEXT             NOT NULL,
    logo_uri          TEXT             NOT NULL,
    policy_uri        TEXT             NOT NULL,
    tos_uri           TEXT             NOT NULL,
    created_at        BIGINT           NOT NULL,
    updated_at        BIGINT           NOT NULL,
    version           BIGINT           NOT NULL
);

CREATE TABLE consents (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
    scopes     TEXT             NOT NULL,
    declined   TEXT    NOT NULL,
    given_at   BIGINT           NOT NULL,
    updated_at BIGINT           NOT NULL,
    PRIMARY KEY (account_id, client_id)
);

-- Grants and tokens do not reference clients by a foreign key. Each insert would lock the client's row to share it, and under
-- load one busy client would become a list of lockers rewritten for every token. Clients are never deleted.
-- sweep_at is rounded up to whole days, so that refreshing rarely changes it and no index is touched.
CREATE TABLE grants (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state        TEXT             NOT NULL,
    client_id    TEXT COLLATE "C" NOT NULL,
    account_id   TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    session_id   TEXT COLLATE "C" NOT NULL,
    code_hash    BYTEA,
    code_ends    BIGINT,
    redirect_uri TEXT             NOT NULL,
    challenge    TEXT             NOT NULL,
    nonce        TEXT             NOT NULL,
    requested    TEXT             NOT NULL,
    scopes       TEXT             NOT NULL,
    resources    TEXT             NOT NULL,
    claims       BYTEA,
    auth_time    BIGINT,
    acr          TEXT             NOT NULL,
    amr          TEXT             NOT NULL,
    generation   INTEGER          NOT NULL,
    claimed      INTEGER          NOT NULL,
    rotated_at   BIGINT,
    refresh_ends BIGINT,
    idle_ends    BIGINT,
    created_at   BIGINT           NOT NULL,
    redeemed_at  BIGINT,
    ended_at     BIGINT,
    ended_why    TEXT             NOT NULL,
    sweep_at     BIGINT           NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX grants_code ON grants (code_hash);
CREATE INDEX grants_account ON grants (account_id, client_id);
CREATE INDEX grants_client ON grants (client_id);
CREATE INDEX grants_session ON grants (session_id);
CREATE INDEX grants_sweep ON grants (sweep_at);

CREATE TABLE access_tokens (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    id         TEXT             NOT NULL,
    grant_id   TEXT COLLATE "C" NOT NULL,
    client_id  TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    scopes     TEXT             NOT NULL,
    audience   TEXT             NOT NULL,
    auth_time  BIGINT,
    acr        TEXT             NOT NULL,
    amr        TEXT             NOT NULL,
    issued_at  BIGINT           NOT NULL,
    ends_at    BIGINT           NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX access_tokens_grant ON access_tokens (grant_id);
CREATE INDEX access_tokens_ends ON access_tokens (ends_at);

CREATE TABLE denials (
    jti     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ends_at BIGINT           NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX denials_ends ON denials (ends_at);

-- jti are chosen by clients, so one client's must not block another's.
CREATE TABLE assertions (
    client_id TEXT COLLATE "C" NOT NULL,
    jti       TEXT COLLATE "C" NOT NULL,
    ends_at   BIGINT           NOT NULL,
    PRIMARY KEY (client_id, jti)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX assertions_ends ON assertions (ends_at);

CREATE TABLE flows (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    browser_hash BYTEA            NOT NULL,
    created_at   BIGINT           NOT NULL,
    ends_at      BIGINT           NOT NULL,
    body         TEXT             NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX flows_ends ON flows (ends_at);

CREATE TABLE keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alg        TEXT             NOT NULL,
    state      TEXT             NOT NULL,
    public     BYTEA            NOT NULL,
    sealed     BYTEA            NOT NULL,
    sealed_by  BIGINT           NOT NULL,
    created_at BIGINT           NOT NULL,
    active_at  BIGINT,
    retire_at  BIGINT,
    gone_at    BIGINT,
    ended_at   BIGINT
);

CREATE TABLE limits (
    id      BYTEA   NOT NULL,
    span    BIGINT  NOT NULL,
    ends_at BIGINT  NOT NULL,
    tally   INTEGER NOT NULL,
    PRIMARY KEY (id, span)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX limits_ends ON limits (ends_at);

CREATE TABLE outbox (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    message    TEXT             NOT NULL,
    detail     TEXT             NOT NULL,
    created_at BIGINT           NOT NULL,
    next_at    BIGINT           NOT NULL,
    tries      INTEGER          NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outbox_next ON outbox (next_at);

-- position and hash are null until the sequencer has put the event into the log.
CREATE TABLE events (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at         BIGINT           NOT NULL,
    kind       TEXT             NOT NULL,
    outcome    TEXT             NOT NULL,
    code       TEXT             NOT NULL,
    actor      TEXT             NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    client     TEXT             NOT NULL,
    session    TEXT             NOT NULL,
    grant_id   TEXT             NOT NULL,
    request    TEXT             NOT NULL,
    detail     TEXT             NOT NULL,
    tally      INTEGER          NOT NULL,
    personal   TEXT,
    salt       BYTEA,
    commitment BYTEA,
    position   BIGINT,
    hash       BYTEA,
    pruned     SMALLINT         NOT NULL
);
CREATE UNIQUE INDEX events_position ON events (position);
CREATE INDEX events_waiting ON events (id) WHERE position IS NULL;
CREATE INDEX events_prunings ON events (id) WHERE kind = 'audit.pruned';
CREATE INDEX events_subject ON events (subject, id);

CREATE TABLE log_hashes (
    id   BIGINT NOT NULL PRIMARY KEY,
    hash BYTEA  NOT NULL
);

CREATE TABLE checkpoints (
    size   BIGINT NOT NULL PRIMARY KEY,
    signed BYTEA  NOT NULL
);

-- A lease is a right to lead; the row 'keys' is also what LockKeys locks.
CREATE TABLE leases (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder  TEXT             NOT NULL,
    ends_at BIGINT           NOT NULL
) WITH (fillfactor = 50);
INSERT INTO leases (name, holder, ends_at) VALUES ('keys', '', 0);

CREATE TABLE resource_servers (
    audience TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    title    TEXT             NOT NULL
);

CREATE TABLE scopes (
    audience   TEXT COLLATE "C" NOT NULL REFERENCES resource_servers (audience),
    name       TEXT COLLATE "C" NOT NULL,
    title      TEXT             NOT NULL,
    permission TEXT             NOT NULL,
    rank       INTEGER          NOT NULL,
    PRIMARY KEY (audience, name)
);

CREATE TABLE roles (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    title TEXT             NOT NULL
);

CREATE TABLE role_permissions (
    role       TEXT COLLATE "C" NOT NULL REFERENCES roles (name),
    permission TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (role, permission)
);

CREATE TABLE role_assignments (
    subject TEXT COLLATE "C" NOT NULL,
    role    TEXT COLLATE "C" NOT NULL REFERENCES roles (name),
    PRIMARY KEY (subject, role)
);
CREATE INDEX role_assignments_role ON role_assignments (role);

-- Named secrets of the deployment: MAC keys that every replica must share.
CREATE TABLE secrets (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed     BYTEA            NOT NULL,
    sealed_by  BIGINT           NOT NULL,
    created_at BIGINT           NOT NULL
);

-- The keyset that seals all of the above, itself sealed by the master key that kek names.
CREATE TABLE keysets (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kek        TEXT             NOT NULL,
    sealed     BYTEA            NOT NULL,
    version    BIGINT           NOT NULL,
    updated_at BIGINT           NOT NULL
);

INSERT INTO events (id, at, kind, outcome, code, actor, subject, client, session, grant_id, request, detail, tally, pruned)
SELECT left(ms, 8) || '-' || right(ms, 4) || '-7' || left(random, 3) || '-8' || right(random, 3) || '-' || substr(random, 4, 12),
       (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
       'migration.applied', 'ok', '', 'system', 'schema', '', '', '', '', '{"version":"1"}', 0, 0
  FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::BIGINT), 12, '0') AS ms,
               replace(gen_random_uuid()::TEXT, '-', '') AS random) AS chosen;
