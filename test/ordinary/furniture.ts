/** One of each kind of thing a database can hold, so that whoever lists them has something to show. */
export const FURNITURE = `
CREATE SCHEMA ord;
COMMENT ON SCHEMA ord IS 'of each kind one';
CREATE TYPE ord.mood AS ENUM ('glad', 'sad');
CREATE TYPE ord.pair AS (one integer, two text);
CREATE TYPE ord.span AS RANGE (subtype = numeric);
CREATE DOMAIN ord.positive AS integer DEFAULT 1 CHECK (VALUE > 0);
COMMENT ON TYPE ord.mood IS 'how one is';
CREATE SEQUENCE ord.numbers INCREMENT 2 START 10;
CREATE COLLATION ord.plain (provider = libc, locale = 'C');
CREATE TABLE ord.things (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code varchar(8) COLLATE "C" NOT NULL DEFAULT 'none',
  mood ord.mood,
  pair ord.pair,
  size ord.positive,
  twice integer GENERATED ALWAYS AS (length(code) * 2) STORED,
  CONSTRAINT things_code UNIQUE (code),
  EXCLUDE (size WITH =)
);
COMMENT ON TABLE ord.things IS 'things';
COMMENT ON COLUMN ord.things.code IS 'what is on it';
CREATE INDEX things_lower ON ord.things (lower(code)) WHERE size > 1;
CREATE STATISTICS ord.things_statistics (dependencies) ON code, size FROM ord.things;
CREATE TABLE ord.children () INHERITS (ord.things);
CREATE TABLE ord.days (day date NOT NULL, n integer REFERENCES public.employees (id)) PARTITION BY RANGE (day);
CREATE TABLE ord.days_2024 PARTITION OF ord.days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE ord.days_rest PARTITION OF ord.days DEFAULT;
CREATE INDEX days_n ON ord.days (n);
CREATE UNLOGGED TABLE ord.light (id integer) WITH (fillfactor = 70);
CREATE VIEW ord.glad AS SELECT id, code FROM ord.things WHERE mood = 'glad' WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW ord.kept AS SELECT mood, count(*) FROM ord.things GROUP BY mood;
CREATE INDEX kept_mood ON ord.kept (mood);
CREATE FUNCTION ord.double(n integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT n * 2';
COMMENT ON FUNCTION ord.double IS 'twice as much';
CREATE PROCEDURE ord.nothing(INOUT n integer) LANGUAGE plpgsql AS 'BEGIN n := n; END';
CREATE FUNCTION ord.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION ord.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE AGGREGATE ord.most (integer) (sfunc = int4larger, stype = integer);
CREATE OPERATOR ord.## (leftarg = integer, rightarg = integer, function = int4mul);
CREATE OPERATOR FAMILY ord.integers USING btree;
CREATE CAST (ord.pair AS text) WITH INOUT;
CREATE CONVERSION ord.back FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH CONFIGURATION ord.words (copy = english);
CREATE TEXT SEARCH DICTIONARY ord.simple (template = simple);
CREATE TRIGGER things_stamp BEFORE UPDATE ON ord.things FOR EACH ROW EXECUTE FUNCTION ord.stamp();
CREATE RULE light_nothing AS ON DELETE TO ord.light DO INSTEAD NOTHING;
ALTER TABLE ord.things ENABLE ROW LEVEL SECURITY;
CREATE POLICY things_glad ON ord.things FOR SELECT TO PUBLIC USING (mood = 'glad');
CREATE EVENT TRIGGER ord_watch ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION ord.watch();
CREATE FOREIGN DATA WRAPPER ord_wrapper;
CREATE SERVER ord_server FOREIGN DATA WRAPPER ord_wrapper;
CREATE USER MAPPING FOR CURRENT_USER SERVER ord_server;
CREATE FOREIGN TABLE ord.far (id integer) SERVER ord_server;
CREATE PUBLICATION ord_publication FOR TABLE ord.days;
CREATE ROLE ord_role NOLOGIN CONNECTION LIMIT 3 VALID UNTIL '2099-01-01';
CREATE ROLE ord_member IN ROLE ord_role;
COMMENT ON ROLE ord_role IS 'a role';
ALTER ROLE ord_role SET work_mem = '8MB';
ALTER ROLE ord_member IN DATABASE crm SET work_mem = '9MB';
GRANT SELECT (id), UPDATE ON ord.light TO ord_role WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION ord.double TO ord_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA ord GRANT SELECT ON TABLES TO ord_role;
SELECT lo_create(424242);
COMMENT ON LARGE OBJECT 424242 IS 'large';
`
