-- What the application may do, as against the role that migrates and owns the tables. Run it as the owner, after the
-- first migration; the role must exist (CREATE ROLE aragora_app LOGIN PASSWORD ...):
--
--   psql "$OWNER_URL" -v ON_ERROR_STOP=1 -v app=aragora_app -f deploy/postgres/roles.sql
--
-- Triggers keep the record of the schema moving forward; an owner could drop them, this role cannot.

BEGIN;

GRANT USAGE ON SCHEMA public TO :"app";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"app";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"app";
REVOKE INSERT, UPDATE, DELETE ON aragora_schema_version, schema_history FROM :"app";

-- The tables of later revisions too.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO :"app";

COMMIT;
