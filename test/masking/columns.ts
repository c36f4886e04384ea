/** One column of every type there is, with values that tell themselves: what of them must be in no masked value. */

export type Column = {
  readonly name: string
  readonly type: string
  /** A literal of the type. */
  readonly value: string
  /** What must not be seen of it, in text. */
  readonly marker: string
  /** What must be there for the type to be. */
  readonly needs?: 'citext' | 'hstore' | 'xml'
}

const WORD = 'zqxjkvwyzqxjkvwy'
const ADDRESS = `marker-${WORD}@example.com`

const column = (
  name: string,
  type: string,
  value: string,
  marker: string,
  needs?: Column['needs'],
): Column => ({
  name,
  type,
  value,
  marker,
  ...(needs === undefined ? {} : { needs }),
})

export const COLUMNS: readonly Column[] = [
  column('text', 'text', ADDRESS, WORD),
  column('varchar', 'varchar(80)', ADDRESS, WORD),
  column('bpchar', 'char(80)', ADDRESS, WORD),
  column('name', 'name', ADDRESS, WORD),
  column('citext', 'citext', ADDRESS, WORD, 'citext'),
  column('domain', 'd_text', ADDRESS, WORD),
  column('domain_of_domain', 'd_short', ADDRESS, WORD),
  column('char', '"char"', 'z', 'z'),
  column('bool', 'bool', 't', 't'),
  column('int2', 'int2', '-31987', '31987'),
  column('int4', 'int4', '987654321', '987654321'),
  column('int8', 'int8', '9876543210987654321'.slice(1), '876543210987654321'),
  column('oid', 'oid', '3987654321', '3987654321'),
  column('float4', 'float4', '98765.43', '98765.43'),
  column('float8', 'float8', '9876543.2109', '9876543.2109'),
  column('numeric', 'numeric', '-987654321.123456789', '987654321'),
  column('numeric_large', 'numeric(50,0)', '98765432109876543210987654321', '98765432109876543210987654321'),
  column('money', 'money', '98765.43', '98,765'),
  column('date', 'date', '1984-05-12', '05-12'),
  column('time', 'time', '13:47:59.123', '13:47'),
  column('timetz', 'timetz', '13:47:59.123+02', '13:47'),
  column('timestamp', 'timestamp', '1984-05-12 13:47:59.123', '13:47'),
  column('timestamptz', 'timestamptz', '1984-05-12 13:47:59.123+02', '11:47'),
  column('timestamp_bc', 'timestamp', '0044-03-15 13:47:59 BC', '03-15'),
  column('date_without_end', 'date', 'infinity', 'infinity'),
  column('interval', 'interval', '13 mons 47 days', '47 days'),
  column('uuid', 'uuid', '0190163d-8694-739b-aea5-966c26f8ad91', '739b'),
  column('inet', 'inet', '198.51.100.213', '213'),
  column('inet_net', 'inet', '198.51.100.213/25', '213'),
  column('inet6', 'inet', '2001:db8:1:2:3:4:5:6', '2:3'),
  column('cidr', 'cidr', '198.51.100.208/28', '208'),
  column('macaddr', 'macaddr', '08:00:2b:01:02:03', '2b:01'),
  column('macaddr8', 'macaddr8', '08:00:2b:01:02:03:04:05', '2b:01'),
  column('lseg', 'lseg', '[(98765,1),(2,43210)]', '98765'),
  column('path', 'path', '[(98765,1),(2,43210)]', '98765'),
  column('box', 'box', '(98765,43210),(1,2)', '98765'),
  column('polygon', 'polygon', '((98765,1),(2,43210))', '98765'),
  column('line', 'line', '{98765,2,3}', '98765'),
  column('circle', 'circle', '<(98765,1),43210>', '98765'),
  column('tsquery', 'tsquery', `'${WORD}' & 'b':*A`, WORD),
  column('lsn', 'pg_lsn', '98765/43210', '98765'),
  column('snapshot', 'pg_snapshot', '98765:98799:98770', '98765'),
  column('xid', 'xid', '987654321', '987654321'),
  column('xid8', 'xid8', '987654321', '987654321'),
  column('cid', 'cid', '987654321', '987654321'),
  column('tid', 'tid', '(98765,4)', '98765'),
  column('regclass', 'regclass', 'pg_proc', 'pg_proc'),
  column('regtype', 'regtype', 'bigint', 'bigint'),
  column('regproc', 'regproc', 'now', 'now'),
  column('regprocedure', 'regprocedure', 'now()', 'now'),
  column('regoperator', 'regoperator', '+(bigint,bigint)', 'bigint'),
  column('regrole', 'regrole', 'pg_monitor', 'pg_monitor'),
  column('regnamespace', 'regnamespace', 'information_schema', 'information'),
  column('regconfig', 'regconfig', 'german', 'german'),
  column('regdictionary', 'regdictionary', 'german_stem', 'german'),
  column('regcollation', 'regcollation', '"C"', 'C'),
  column('int2vector', 'int2vector', '31987 31987', '31987'),
  column('oidvector', 'oidvector', '987654321 1', '987654321'),
  column('refcursor', 'refcursor', ADDRESS, WORD),
  column('bytea', 'bytea', `\\x${Buffer.from(ADDRESS).toString('hex')}`, Buffer.from(WORD).toString('hex')),
  column('bit', 'bit(8)', '10110011', '10110011'),
  column('varbit', 'varbit', '10110011', '10110011'),
  column('json', 'json', JSON.stringify({ a: ADDRESS, b: [1] }), WORD),
  column('jsonb', 'jsonb', JSON.stringify({ a: ADDRESS, b: [1] }), WORD),
  column('jsonpath', 'jsonpath', `$."${WORD}"`, WORD),
  column('xml', 'xml', `<a>${ADDRESS}</a>`, WORD, 'xml'),
  column('enum', 'mood', 'zqxjkvwy-blue', 'zqxjkvwy'),
  column('tsvector', 'tsvector', `'${WORD}':1`, WORD),
  column('point', 'point', '(98765,43210)', '98765'),
  column('texts', 'text[]', `{${ADDRESS},NULL,"a \\"${WORD}\\" \\\\ b","NULL",""}`, WORD),
  column('texts_deep', 'text[]', `[2:3][1:2]={{${ADDRESS},b},{c,${WORD}}}`, WORD),
  column('texts_empty', 'text[]', '{}', WORD),
  column('domains', 'd_text[]', `{${ADDRESS}}`, WORD),
  column('moods', 'mood[]', '{zqxjkvwy-blue,green}', 'zqxjkvwy'),
  column('ints', 'int4[]', '{{987654321,NULL}}', '987654321'),
  column('dates', 'date[]', '{1984-05-12,infinity}', '05-12'),
  column('uuids', 'uuid[]', '{0190163d-8694-739b-aea5-966c26f8ad91}', '739b'),
  column('jsonbs', 'jsonb[]', `{"{\\"a\\":\\"${WORD}\\"}"}`, WORD),
  column('boxes', 'box[]', '{(98765,1),(1,0);(98765,1),(1,0)}', '98765'),
  column('int4range', 'int4range', '[987654321,987654329)', '98765432[1-9]'),
  column('numrange', 'numrange', '(,98765.4321]', '98765.4321'),
  column('daterange', 'daterange', '[1984-05-12,1985-05-12)', '05-12'),
  column('tstzrange', 'tstzrange', '["1984-05-12 13:47:59+02","1985-05-12 13:47:59+02")', ':47'),
  column('range_empty', 'int4range', 'empty', '987'),
  column('ranges', 'daterange[]', '{"[1984-05-12,1985-05-12)"}', '05-12'),
  column('multirange', 'datemultirange', '{[1984-05-12,1985-05-12)}', '05-12'),
  column('nummultirange', 'nummultirange', '{(,98765.4321],[198765.4321,)}', '98765.4321'),
  column('own_multirange', 'floats_multi', '{[98765.25,98766.25),[98767.25,98768.25)}', '9876[5678]'),
  column('multiranges', 'datemultirange[]', '{"{[1984-05-12,1985-05-12)}"}', '05-12'),
  column('times', 'time[]', '{13:47:59}', '13:47'),
  column('moneys', 'money[]', '{98765.43}', '98,765'),
  column('own_range', 'floats', '[98765.25,98766.25)', '9876[56]'),
  column('pair', 'pair', `(987654321,"${ADDRESS} ""x"" \\\\",1984-05-12)`, WORD),
  column('pair_of_nothing', 'pair', '(,"",)', WORD),
  column('pairs', 'pair[]', `{"(987654321,\\"${WORD} y\\",)",NULL}`, WORD),
  column('nested', 'nested', `("(987654321,${WORD},)","{""${WORD} y"",b}")`, WORD),
  column('hstore', 'hstore', `"${WORD}"=>"${ADDRESS}", "b"=>NULL`, WORD, 'hstore'),
]

export const TYPES_SQL = `
CREATE TYPE mood AS ENUM ('zqxjkvwy-blue', 'green', '42');
CREATE DOMAIN d_text AS text CHECK (length(VALUE) < 200);
CREATE DOMAIN d_short AS d_text CHECK (VALUE <> '');
CREATE TYPE floats AS RANGE (subtype = float8, multirange_type_name = floats_multi);
CREATE TYPE pair AS (number int4, word text, day date);
CREATE TYPE nested AS (first pair, words text[]);
`
