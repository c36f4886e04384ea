/** What the journeys' clients talk about: a database of one of each kind, made the same way on every server. */
import type { TestServer } from '../support/postgres.ts'

export const JOURNEY_DATABASE = 'journey'
export const JOURNEY_ROLE = 'journey_app'
export const JOURNEY_PASSWORD = 'journey-upstream-password'

const SQL = `
CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL, price numeric, made timestamptz);
CREATE TABLE parts (id integer PRIMARY KEY, thing_id integer CONSTRAINT part_of REFERENCES things (id));
CREATE TABLE scratch (id integer, note text NOT NULL);
CREATE TABLE numbered (id serial PRIMARY KEY, note text);
INSERT INTO things VALUES (1, 'lamp', 19.90, '2024-01-01 10:00+00'), (2, 'chair', 149, '2024-02-29 23:59:59.123456+00'),
                          (3, 'Tüte 🎈', NULL, NULL);
INSERT INTO parts VALUES (1, 1), (2, 1), (3, 2);
CREATE TABLE types (
  id int4 PRIMARY KEY, small int2, big int8, exact numeric(20, 5), single float4, double float8, truth bool,
  words text, short varchar(10), padded char(5), day date, clock time, moment timestamp, instant timestamptz,
  span interval, doc json, docb jsonb, bytes bytea, key uuid, ints int4[], texts text[][], address inet, bits bit(3),
  area box, span_of_days daterange, tags tsvector, nothing text
);
INSERT INTO types VALUES
  (1, -32768, 9223372036854775807, -123456789012345.54321, 1.5, -2.2250738585072014e-308, true,
   E'Tab\\there, "quotes", ünïcode 🎈', 'ten chars.', 'ab', '2024-02-29', '23:59:59.999999', '1999-12-31 23:59:59',
   '2024-07-01 12:00:00.5+02', '1 year 2 mons 3 days 04:05:06.7', '{"a": 1,  "b": [null, "x"]}', '{"b": 2, "a": {"deep": true}}',
   '\\x00ff10'::bytea, '6f1c1f5e-8d3b-4a52-9a70-0f2a5a4c9f10', '{1,NULL,3}', '{{a,b},{"c d",NULL}}', '192.168.0.1/24', B'101',
   '((0,0),(1,2))', '[2024-01-01,2024-02-01)', 'fat:2 cat:3'::tsvector, NULL),
  (2, NULL, NULL, 'NaN', 'Infinity', NULL, false, '', '', '', 'infinity', NULL, NULL, '-infinity', NULL, 'null', '[]', '', NULL, '{}', NULL,
   '::1', NULL, NULL, 'empty', '', NULL);
CREATE FUNCTION complain(what text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'XX123', MESSAGE = 'complained ' || what, DETAIL = 'the detail', HINT = 'a hint',
    TABLE = 'a_table', COLUMN = 'a_column', CONSTRAINT = 'a_constraint', SCHEMA = 'a_schema', DATATYPE = 'a_type';
END $$;
CREATE FUNCTION mention(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE USING MESSAGE = 'mentioned ' || what, DETAIL = 'noticed', HINT = 'look';
  RAISE WARNING 'warned %', what;
  RETURN what;
END $$;
`

/** Made new each time, so that two runs against one server begin alike. The role owns all of it. */
export async function makeJourneyDatabase(server: TestServer, database = JOURNEY_DATABASE): Promise<void> {
  await server.role(JOURNEY_ROLE, JOURNEY_PASSWORD)
  await server.sql(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  await server.sql(`CREATE DATABASE ${database} OWNER ${JOURNEY_ROLE}`)
  const client = await server.client(database)
  try {
    await client.query(`ALTER SCHEMA public OWNER TO ${JOURNEY_ROLE}`)
    await client.query(`SET ROLE ${JOURNEY_ROLE}`)
    await client.query(SQL)
  } finally {
    await client.end()
  }
}
