import { expect, it } from 'vitest'
import { quietOf } from './quiet-code.ts'

type Row = readonly (string | null)[]

const relation = (oid: number, name: string, kind = 'r'): Row => ['relation', `${oid}`, name, kind, null]
const leads = (from: string, to: string): Row => ['leads', from, to, null, null]
const runs = (from: string, oid: number): Row => ['calls', from, `${oid}`, null, null]
const builtin = (from: string, name: string): Row => ['calls', from, '1', name, null]
const fn = (oid: number, name: string, source: string | null, extension: string | null = null): Row => [
  'function',
  `${oid}`,
  name,
  source,
  extension,
]

const TABLES = [
  relation(1, 'notes'),
  relation(2, 'orders'),
  relation(3, 'setter', 'v'),
  relation(9, 'pg_class', 'system'),
]
const QUIET_TRIGGER = 'BEGIN NEW.at := now(); UPDATE orders SET n = n + 1; RETURN NEW; END'

it.each<[string, Row[], string[], string[], boolean]>([
  ['a table', [], ['notes'], ['public.notes'], true],
  ['one of the system that is read', [], ['pg_class'], [], true],
  ['one of the system that is written', [], [], ['pg_class'], false],
  ['a name that nobody has', [], ['nobody'], [], false],
  [
    'a name of which one of several schemas has a view that sets',
    [relation(4, 'notes', 'v'), builtin('4', 'set_config')],
    ['notes'],
    [],
    false,
  ],
  ['a view that computes', [leads('3', '1'), builtin('3', 'upper')], ['setter'], [], true],
  ['a view that sets', [builtin('3', 'set_config')], ['setter'], [], false],
  [
    'a view of one that sets',
    [relation(4, 'w', 'v'), leads('4', '3'), builtin('3', 'set_config')],
    ['w'],
    [],
    false,
  ],
  ['a view with a function that runs text', [builtin('3', 'query_to_xml')], ['setter'], [], false],
  ['a trigger that computes', [runs('w1', 50), fn(50, 'touch', QUIET_TRIGGER)], [], ['notes'], true],
  [
    'a trigger that sets, when it is written',
    [runs('w1', 50), fn(50, 't', "BEGIN PERFORM set_config('a.b', 'c', false); END")],
    [],
    ['notes'],
    false,
  ],
  [
    'a trigger that sets, when it is read',
    [runs('w1', 50), fn(50, 't', "BEGIN PERFORM set_config('a.b', 'c', false); END")],
    ['notes'],
    [],
    true,
  ],
  [
    'a trigger with SET',
    [runs('w1', 50), fn(50, 't', 'BEGIN\n -- x;\n SET app.a = 1; END')],
    [],
    ['notes'],
    false,
  ],
  [
    'a trigger with UPDATE ... SET',
    [runs('w1', 50), fn(50, 't', 'BEGIN UPDATE orders\n SET a = 1; END')],
    [],
    ['notes'],
    true,
  ],
  ...[
    "BEGIN PERFORM '--', set_config('a.b', 'c', false); END",
    "DECLARE c text := '/*'; BEGIN SET app.a = 1; c := '*/'; END",
    "DECLARE c text := '/*'; BEGIN /* x */ SET app.a = 1; END",
    'BEGIN /* a */ -- b\n /* c */ SET app.a = 1; END',
    'BEGIN /* a /* b */ c */ SET app.a = 1; END',
    "SELECT '--' || set_config('a.b', 'c', false)",
    'SELECT 1 AS "--"; SET app.a = 1',
    `SELECT U&"set!005fconfig" UESCAPE '!' ('a.b', 'c', false)`,
    `UPDATE U&"pg!005fsettings" UESCAPE '!' SET setting = 'x'`,
    'BEGIN PERFORM pg_reload_conf /* x */ (); END',
  ].map((source): [string, Row[], string[], string[], boolean] => [
    `a trigger with ${source}`,
    [runs('w1', 50), fn(50, 't', source)],
    [],
    ['notes'],
    false,
  ]),
  ['a trigger that runs text', [runs('w1', 50), fn(50, 't', "BEGIN EXECUTE 'x'; END")], [], ['notes'], false],
  ['a trigger in a language that nobody reads', [runs('w1', 50), fn(50, 't', null)], [], ['notes'], false],
  [
    'a trigger that calls what sets',
    [runs('w1', 50), fn(50, 't', 'BEGIN PERFORM app."Set"(); END'), fn(51, 'Set', 'set_config')],
    [],
    ['notes'],
    false,
  ],
  [
    'a trigger that writes where one sets',
    [runs('w1', 50), fn(50, 't', QUIET_TRIGGER), runs('w2', 51), fn(51, 'u', 'RESET ALL')],
    [],
    ['notes'],
    false,
  ],
  [
    'a body of the standard form',
    [runs('w1', 50), fn(50, 't', '({FUNCEXPR :funcid 2078 :args x})')],
    [],
    ['notes'],
    false,
  ],
  ['a foreign table', [relation(5, 'far', 'f')], ['far'], [], false],
  ['a cascade', [leads('w1', 'w2'), runs('w2', 51), fn(51, 'u', 'RESET ALL')], [], ['notes'], false],
  ['an operator that sets, wherever', [runs('0', 51), fn(51, 'u', 'RESET ALL')], ['notes'], [], false],
  [
    'an operator of an extension',
    [['calls', '0', '51', null, 'postgis'], fn(51, 'u', null, 'postgis')],
    ['notes'],
    [],
    true,
  ],
  [
    'a default of an extension that computes',
    [runs('w1', 51), fn(51, 'uuid_generate_v4', null, 'uuid-ossp')],
    [],
    ['notes'],
    true,
  ],
  ['a function that sets, and nothing leads to it', [fn(51, 'u', 'RESET ALL')], ['notes'], ['orders'], true],
])(
  'knows whether code that runs without being named could change settings: %s',
  (_what, rows, reads, writes, quiet) => {
    expect(quietOf([...TABLES, ...rows])(reads, writes)).toBe(quiet)
  },
)

it('calls nothing quiet when there is too much to look at', () => {
  expect(quietOf([...TABLES, fn(50, 'long', ' '.repeat(17 * 1024 * 1024))])(['notes'], [])).toBe(false)
})
