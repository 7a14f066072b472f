-- Who may hold what: the policy, what people hold, and what separation of duty finds. Tables and columns are those of PostgreSQL's 00002.
--
-- The policy is read whole and compiled, so it is one table of documents. What people hold is rows. An interval is from_at to the
-- instant before to_at; no end is the largest number, so that intervals compare. What these rows name is not a foreign key: it
-- is judged as a whole, under the policy's lock, by the one function that writes them.

-- +goose Up

ALTER TABLE persons RENAME TO subjects;
ALTER TABLE subjects ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE subjects ADD COLUMN owner_id TEXT REFERENCES subjects (id);
CREATE INDEX subjects_owner ON subjects (owner_id);
INSERT INTO subjects (id, name, created_at, kind) SELECT id, name, created_at, 'workload' FROM clients;

CREATE TABLE policy (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch    INTEGER NOT NULL,
    swept_at INTEGER NOT NULL,
    whole_at INTEGER NOT NULL
) STRICT;
INSERT INTO policy (one, epoch, swept_at, whole_at) VALUES (1, 1, 0, 0);

CREATE TABLE policy_items (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

CREATE TABLE assignments (
    id           TEXT    NOT NULL PRIMARY KEY,
    account_id   TEXT    NOT NULL,
    role_id      TEXT    NOT NULL,
    context      TEXT    NOT NULL,
    from_at      INTEGER NOT NULL,
    to_at        INTEGER NOT NULL,
    eligible     INTEGER NOT NULL,
    source       TEXT    NOT NULL,
    exception_id TEXT    NOT NULL,
    why          TEXT    NOT NULL
) STRICT;
CREATE INDEX assignments_account ON assignments (account_id);
CREATE INDEX assignments_role ON assignments (role_id);
CREATE INDEX assignments_from ON assignments (from_at);
CREATE INDEX assignments_to ON assignments (to_at);

CREATE TABLE memberships (
    group_id   TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    from_at    INTEGER NOT NULL,
    to_at      INTEGER NOT NULL,
    PRIMARY KEY (group_id, account_id)
) STRICT;
CREATE INDEX memberships_account ON memberships (account_id);
CREATE INDEX memberships_from ON memberships (from_at);
CREATE INDEX memberships_to ON memberships (to_at);

CREATE TABLE delegations (
    id         TEXT    NOT NULL PRIMARY KEY,
    giver_id   TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    roles      TEXT    NOT NULL,
    from_at    INTEGER NOT NULL,
    to_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX delegations_giver ON delegations (giver_id);
CREATE INDEX delegations_account ON delegations (account_id);

CREATE TABLE exceptions (
    id           TEXT    NOT NULL PRIMARY KEY,
    rule_id      TEXT    NOT NULL,
    rule_version INTEGER NOT NULL,
    subject_id   TEXT    NOT NULL,
    controls     TEXT    NOT NULL,
    requester    TEXT    NOT NULL,
    approvers    TEXT    NOT NULL,
    from_at      INTEGER NOT NULL,
    to_at        INTEGER NOT NULL,
    why          TEXT    NOT NULL
) STRICT;
CREATE INDEX exceptions_subject ON exceptions (subject_id);
CREATE INDEX exceptions_rule ON exceptions (rule_id);
CREATE INDEX exceptions_to ON exceptions (to_at);

CREATE TABLE violations (
    rule_id      TEXT    NOT NULL,
    subject_id   TEXT    NOT NULL,
    rule_version INTEGER NOT NULL,
    during       TEXT    NOT NULL,
    uncovered    TEXT    NOT NULL,
    witness      TEXT    NOT NULL,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    found_by     TEXT    NOT NULL,
    PRIMARY KEY (rule_id, subject_id)
) STRICT;
CREATE INDEX violations_subject ON violations (subject_id);

CREATE TABLE cases (
    rule_id    TEXT    NOT NULL,
    subject_id TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    origin     TEXT    NOT NULL,
    witness    TEXT    NOT NULL,
    opened_at  INTEGER NOT NULL,
    due_at     INTEGER,
    reopened   INTEGER NOT NULL,
    assignee   TEXT    NOT NULL,
    PRIMARY KEY (rule_id, subject_id)
) STRICT;
CREATE INDEX cases_subject ON cases (subject_id);

-- The backstop: a rule that allows k-1 of its duties has k-1 slots for each subject, and each is taken once.
CREATE TABLE holds (
    rule_id    TEXT    NOT NULL,
    subject_id TEXT    NOT NULL,
    slot       INTEGER NOT NULL CHECK (slot >= 1),
    duty_id    TEXT    NOT NULL,
    PRIMARY KEY (rule_id, subject_id, slot)
) STRICT;
CREATE UNIQUE INDEX holds_duty ON holds (rule_id, subject_id, duty_id);
CREATE INDEX holds_subject ON holds (subject_id);

-- What the foundation kept. The built-in roles are made anew, as they are now, when a server or a command first looks.
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'server', 'server-' || rank, json_object('id', 'server-' || rank, 'title', title, 'audiences', json_array(audience)), 1, 0
  FROM (SELECT audience, title, row_number() OVER (ORDER BY audience) AS rank FROM resource_servers);
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'scope', 'server-' || r.rank || '/' || s.name,
       json_object('id', 'server-' || r.rank || '/' || s.name, 'title', s.title, 'permissions', json(CASE WHEN s.permission = '' THEN '[]' ELSE json_array(s.permission) END)), 1, 0
  FROM scopes s JOIN (SELECT audience, row_number() OVER (ORDER BY audience) AS rank FROM resource_servers) r ON r.audience = s.audience;
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'permission', permission, json_object('id', permission), 1, 0
  FROM (SELECT permission FROM role_permissions UNION SELECT permission FROM scopes) WHERE permission <> '';
INSERT INTO policy_items (kind, id, body, epoch, changed_at)
SELECT 'role', name, json_object('id', name, 'name', title, 'permissions', json((SELECT json_group_array(permission) FROM (SELECT permission FROM role_permissions p WHERE p.role = roles.name AND permission <> '' ORDER BY permission)))), 1, 0
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
SELECT substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7' || substr(random, 1, 3) || '-8' || substr(random, 30, 3) || '-' || substr(random, 4, 12),
       CAST(unixepoch('subsec') * 1000000 AS INTEGER),
       'migration.applied', 'ok', '', 'system', 'schema', '', '', '', '', '{"version":"2"}', 0, 0
  FROM (SELECT printf('%012x', CAST(unixepoch('subsec') * 1000 AS INTEGER)) AS ms, lower(hex(randomblob(16))) AS random);
