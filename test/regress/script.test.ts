import { expect, it } from 'vitest'
import { statementsOf } from './script.ts'

const texts = (script: string, variables = new Map<string, string>()) =>
  statementsOf(script, variables).map(({ text }) => text.trim())

it.each([
  ['SELECT 1; SELECT 2;', ['SELECT 1', 'SELECT 2']],
  ['SELECT \';\'; SELECT ";" -- ;\n FROM t;', ["SELECT ';'", 'SELECT ";"  \n FROM t'.replace('  ', ' ')]],
  ["SELECT E'\\';' ; SELECT '\\'; SELECT 3", ["SELECT E'\\';'", "SELECT '\\'", 'SELECT 3']],
  ['SELECT $$;$$, $a$ $$; $a$; SELECT 2', ['SELECT $$;$$, $a$ $$; $a$', 'SELECT 2']],
  [
    'CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2); SELECT 3;',
    ['CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2)', 'SELECT 3'],
  ],
  [
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3;',
    [
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
      'SELECT 3',
    ],
  ],
  ['/* a; /* b; */ ; */ SELECT 1;', ['SELECT 1']],
  ['\\d t\nSELECT 1 \\gset\nSELECT 2 \\r\nSELECT 3;', ['SELECT 1', 'SELECT 3']],
  ["\\set n 'x'\nSELECT :'n', :n, :'other';\nSELECT a[1:2], b::int, :'n';", ["SELECT a[1:2], b::int, 'x'"]],
] as const)('splits %s', (script, expected) => {
  expect(texts(script)).toEqual(expected)
})

it('keeps the data of COPY apart', () => {
  expect(statementsOf('COPY t FROM STDIN;\n1\t;\n2\n\\.\nSELECT 1;', new Map())).toEqual([
    { text: 'COPY t FROM STDIN', data: '1\t;\n2\n' },
    { text: '\nSELECT 1' },
  ])
})
