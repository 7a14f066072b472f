-- Who may hold what: the policy, what people hold, and what separation of duty finds.
--
-- The policy is read whole and compiled, so it is one table of documents. What people hold is rows. An interval is from_at to the
-- instant before to_at; no end is the largest number, so that intervals compare. What these rows name is not a foreign key: it
-- is judged as a whole, under the policy's lock, by the one function that writes them.

-- +goose Up

ALTER TABLE persons RENAME TO subjects;
ALTER TABLE subjects ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE subjects ADD COLUMN owner_id TEXT COLLATE "C" REFERENCES subjects (id);
CREATE INDEX subjects_owner ON subjects (owner_id);
INSERT INTO subjects (id, name, created_at, kind) SELECT id, name, created_at, 'workload' FROM clients;

CREATE TABLE policy (
    one          SMALLINT         NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch        BIGINT           NOT NULL,
    swept_at     BIGINT           NOT NULL,
    whole_at     BIGINT           NOT NULL
);
INSERT INTO policy (one, epoch, swept_at, whole_at) VALUES (1, 1, 0, 0);

CREATE TABLE policy_items (
    kind         TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    body         TEXT             NOT NULL,
    epoch        BIGINT           NOT NULL,
    changed_at   BIGINT           NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE assignments (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id   TEXT COLLATE "C" NOT NULL,
    role_id      TEXT COLLATE "C" NOT NULL,
    context      TEXT             NOT NULL,
    from_at      BIGINT           NOT NULL,
    to_at        BIGINT           NOT NULL,
    eligible     SMALLINT         NOT NULL,
    source       TEXT             NOT NULL,
    exception_id TEXT COLLATE "C" NOT NULL,
    why          TEXT             NOT NULL
);
CREATE INDEX assignments_account ON assignments (account_id);
CREATE INDEX assignments_role ON assignments (role_id);
CREATE INDEX assignments_from ON assignments (from_at);
CREATE INDEX assignments_to ON assignments (to_at);

CREATE TABLE memberships (
    group_id     TEXT COLLATE "C" NOT NULL,
    account_id   TEXT COLLATE "C" NOT NULL,
    from_at      BIGINT           NOT NULL,
    to_at        BIGINT           NOT NULL,
    PRIMARY KEY (group_id, account_id)
);
CREATE INDEX memberships_account ON memberships (account_id);
CREATE INDEX memberships_from ON memberships (from_at);
CREATE INDEX memberships_to ON memberships (to_at);

CREATE TABLE delegations (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    giver_id     TEXT COLLATE "C" NOT NULL,
    account_id   TEXT COLLATE "C" NOT NULL,
    roles        TEXT             NOT NULL,
    from_at      BIGINT           NOT NULL,
    to_at        BIGINT           NOT NULL
);
CREATE INDEX delegations_giver ON delegations (giver_id);
CREATE INDEX delegations_account ON delegations (account_id);

CREATE TABLE exceptions (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    rule_id      TEXT COLLATE "C" NOT NULL,
    rule_version BIGINT           NOT NULL,
    subject_id   TEXT COLLATE "C" NOT NULL,
    controls     TEXT             NOT NULL,
    requester    TEXT             NOT NULL,
    approvers    TEXT             NOT NULL,
    from_at      BIGINT           NOT NULL,
    to_at        BIGINT           NOT NULL,
    why          TEXT             NOT NULL
);
CREATE INDEX exceptions_subject ON exceptions (subject_id);
CREATE INDEX exceptions_rule ON exceptions (rule_id);
CREATE INDEX exceptions_to ON exceptions (to_at);

CREATE TABLE violations (
    rule_id      TEXT COLLATE "C" NOT NULL,
    subject_id   TEXT COLLATE "C" NOT NULL,
    rule_version BIGINT           NOT NULL,
    during       TEXT             NOT NULL,
    uncovered    TEXT             NOT NULL,
    witness      TEXT             NOT NULL,
    first_seen   BIGINT           NOT NULL,
    last_seen    BIGINT           NOT NULL,
    found_by     TEXT             NOT NULL,
    PRIMARY KEY (rule_id, subject_id)
);
CREATE INDEX violations_subject ON violations (subject_id);

CREATE TABLE cases (
    rule_id      TEXT COLLATE "C" NOT NULL,
    subject_id   TEXT COLLATE "C" NOT NULL,
    state        TEXT             NOT NULL,
    origin       TEXT             NOT NULL,
    witness      TEXT             NOT NULL,
    opened_at    BIGINT           NOT NULL,
    due_at       BIGINT         ,
    reopened     BIGINT           NOT NULL,
    assignee     TEXT             NOT NULL,
    PRIMARY KEY (rule_id, subject_id)
);
CREATE INDEX cases_subject ON cases (subject_id);

-- The backstop: a rule that allows k-1 of its duties has k-1 slots for each subject, and each is taken once.
CREATE TABLE holds (
    rule_id      TEXT COLLATE "C" NOT NULL,
    subject_id   TEXT COLLATE "C" NOT NULL,
    slot         BIGINT           NOT NULL CHECK (slot >= 1),
    duty_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (rule_id, subject_id, slot)
);
CREATE UNIQUE INDEX holds_duty ON holds (rule_id, subject_id, duty_id);
CREATE INDEX holds_subject ON holds (subject_id);

-- What the foundation kept. The built-in roles are made anew, as they are now, when a server or a command first looks.
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'server', 'server-' || rank, json_build_object('id', 'server-' || rank, 'title', title, 'audiences', json_build_array(audience))::TEXT, 1, 0
  FROM (SELECT audience, title, row_number() OVER (ORDER BY audience) AS rank FROM resource_servers) AS ranked;
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'scope', 'server-' || r.rank || '/' || s.name,
       json_build_object('id', 'server-' || r.rank || '/' || s.name, 'title', s.title, 'permissions', CASE WHEN s.permission = '' THEN '[]'::JSON ELSE json_build_array(s.permission) END)::TEXT, 1, 0
  FROM scopes s JOIN (SELECT audience, row_number() OVER (ORDER BY audience) AS rank FROM resource_servers) r ON r.audience = s.audience;
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'permission', permission, json_build_object('id', permission)::TEXT, 1, 0
  FROM (SELECT permission FROM role_permissions UNION SELECT permission FROM scopes) AS known WHERE permission <> '';
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'role', name, json_build_object('id', name, 'name', title, 'permissions', (SELECT coalesce(json_agg(permission ORDER BY permission), '[]'::JSON) FROM role_permissions p WHERE p.role = roles.name AND permission <> ''))::TEXT, 1, 0
  FROM roles WHERE name NOT IN ('system-administrator', 'security-administrator', 'auditor');
INSERT INTO assignments (id, account_id, role_id, context, from_at, to_at, eligible, source, exception_id, why)
SELECT a.id || ':' || r.role, a.id, r.role, '', a.created_at, 9223372036854775807, 0, '', '', ''
  FROM role_assignments r JOIN (SELECT id, person_id, created_at FROM accounts UNION ALL SELECT id, id, created_at FROM clients) a ON a.person_id = r.subject;
DROP TABLE role_assignments;
DROP TABLE role_permissions;
DROP TABLE roles;
DROP TABLE scopes;
DROP TABLE resource_servers;

INSERT INTO events (id, at, kind, outcome, code, actor, subject, client, session, grant_id, request, detail, tally, pruned)
SELECT left(ms, 8) || '-' || right(ms, 4) || '-7' || left(random, 3) || '-8' || right(random, 3) || '-' || substr(random, 4, 12),
       (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
       'migration.applied', 'ok', '', 'system', 'schema', '', '', '', '', '{"version":"2"}', 0, 0
  FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::BIGINT), 12, '0') AS ms,
               replace(gen_random_uuid()::TEXT, '-', '') AS random) AS chosen;
