import type { NeutralName, ValueType } from '../../../session/index.ts'
import { OTHER, TEXT } from '../../../session/index.ts'

/** What values of a type are, by the oid that the server gives. Unknown types are `other`: only NULL is sure. */
export type TypeLookup = (oid: number) => ValueType

const INTEGER = (bytes: 2 | 4 | 8): ValueType => ({ kind: 'integer', bytes })
const FLOAT = (bytes: 4 | 8): ValueType => ({ kind: 'float', bytes })
const DATE: ValueType = { kind: 'date' }
const NUMERIC: ValueType = { kind: 'numeric' }
const TIMESTAMP: ValueType = { kind: 'timestamp', zoned: false }
const TIMESTAMPTZ: ValueType = { kind: 'timestamp', zoned: true }

/** Types, and what the array of each is called: their numbers never change (pg_type.dat). */
const SCALARS: readonly (readonly [oid: number, array: number, type: ValueType])[] = [
  [16, 1000, { kind: 'boolean' }],
  [17, 1001, { kind: 'bytea' }],
  [18, 1002, { kind: 'char' }],
  [19, 1003, TEXT],
  [20, 1016, INTEGER(8)],
  [21, 1005, INTEGER(2)],
  [23, 1007, INTEGER(4)],
  [25, 1009, TEXT],
  [114, 199, { kind: 'json', versioned: false }],
  [142, 143, { kind: 'xml' }],
  [650, 651, { kind: 'inet', cidr: true }],
  [700, 1021, FLOAT(4)],
  [701, 1022, FLOAT(8)],
  [869, 1041, { kind: 'inet', cidr: false }],
  [1042, 1014, TEXT],
  [1043, 1015, TEXT],
  [1082, 1182, DATE],
  [1114, 1115, TIMESTAMP],
  [1184, 1185, TIMESTAMPTZ],
  [1700, 1231, NUMERIC],
  [2950, 2951, { kind: 'uuid' }],
  [3802, 3807, { kind: 'json', versioned: true }],
  [3904, 3905, { kind: 'range', of: INTEGER(4) }],
  [3906, 3907, { kind: 'range', of: NUMERIC }],
  [3908, 3909, { kind: 'range', of: TIMESTAMP }],
  [3910, 3911, { kind: 'range', of: TIMESTAMPTZ }],
  [3912, 3913, { kind: 'range', of: DATE }],
  [3926, 3927, { kind: 'range', of: INTEGER(8) }],
  [1790, 2201, TEXT],
  [4451, 6150, { kind: 'multirange', of: INTEGER(4) }],
  [4532, 6151, { kind: 'multirange', of: NUMERIC }],
  [4533, 6152, { kind: 'multirange', of: TIMESTAMP }],
  [4534, 6153, { kind: 'multirange', of: TIMESTAMPTZ }],
  [4535, 6155, { kind: 'multirange', of: DATE }],
  [4536, 6157, { kind: 'multirange', of: INTEGER(8) }],
]

/** Types whose masked values say nothing, with their arrays. Not here is aclitem: it names roles, and has no binary form. */
const NEUTRAL: readonly (readonly [oid: number, array: number, name: NeutralName])[] = [
  [22, 1006, 'int2vector'],
  [24, 1008, 'oid'], // regproc
  [26, 1028, 'oid'],
  [27, 1010, 'tid'],
  [28, 1011, 'oid'], // xid
  [29, 1012, 'oid'], // cid
  [30, 1013, 'oidvector'],
  [600, 1017, 'point'],
  [601, 1018, 'lseg'],
  [602, 1019, 'path'],
  [603, 1020, 'box'],
  [604, 1027, 'polygon'],
  [628, 629, 'line'],
  [718, 719, 'circle'],
  [774, 775, 'macaddr8'],
  [790, 791, 'money'],
  [829, 1040, 'macaddr'],
  [1083, 1183, 'time'],
  [1186, 1187, 'interval'],
  [1266, 1270, 'timetz'],
  [1560, 1561, 'bit'],
  [1562, 1563, 'varbit'],
  [2202, 2207, 'oid'], // regprocedure
  [2203, 2208, 'oid'], // regoper
  [2204, 2209, 'oid'], // regoperator
  [2205, 2210, 'oid'], // regclass
  [2206, 2211, 'oid'], // regtype
  [2970, 2949, 'snapshot'], // txid_snapshot
  [3220, 3221, 'lsn'],
  [3614, 3643, 'tsvector'],
  [3615, 3645, 'tsquery'],
  [3734, 3735, 'oid'], // regconfig
  [3769, 3770, 'oid'], // regdictionary
  [4072, 4073, 'jsonpath'],
  [4089, 4090, 'oid'], // regnamespace
  [4096, 4097, 'oid'], // regrole
  [4191, 4192, 'oid'], // regcollation
  [5038, 5039, 'snapshot'],
  [5069, 271, 'xid8'],
]

/** The one type whose arrays have another delimiter than a comma (pg_type.dat). */
const BOX = 603

/** What a literal has that nothing gave a type, and what functions of C take: bytes of text. */
const UNTYPED = [705, 2275] as const

const BUILTIN: ReadonlyMap<number, ValueType> = new Map([
  ...[
    ...SCALARS,
    ...NEUTRAL.map(([oid, array, name]) => [oid, array, { kind: 'neutral', name }] as const),
  ].flatMap(([oid, array, type]): [number, ValueType][] => [
    [oid, type],
    [array, { kind: 'array', element: type, delimiter: oid === BOX ? ';' : ',' }],
  ]),
  ...UNTYPED.map((oid): [number, ValueType] => [oid, TEXT]),
])

export const builtinType: TypeLookup = (oid) => BUILTIN.get(oid) ?? OTHER

/** How types that users made are built; rows in text format, for `typeLookup`. Reads no table of the user. */
export const typesQuery = `
  SELECT t.oid, t.typtype, t.typname, t.typdelim, t.typbasetype,
    CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END,
    COALESCE((SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)), 0),
    COALESCE((
      SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)::pg_catalog.text
      FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), '[]'),
    COALESCE((
      SELECT pg_catalog.json_agg(a.atttypid::pg_catalog.int8 ORDER BY a.attnum)::pg_catalog.text
      FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
    COALESCE((
      SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
        AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1), '')
  FROM pg_catalog.pg_type t WHERE t.oid >= 16384`

type Described = {
  readonly form: string
  readonly name: string
  readonly delimiter: string
  readonly base: number
  readonly element: number
  readonly subtype: number
  readonly labels: readonly string[]
  readonly attributes: readonly number[]
  readonly extension: string
}

/** Composites hold composites: one with more parts than this, all told, is not looked into. */
const PARTS_MAX = 1_000

/** From the rows of `typesQuery`. A row that is not one describes a type that nothing is known of. */
export function typeLookup(rows: readonly (readonly (string | null)[])[]): TypeLookup {
  const described = new Map(rows.map((row) => [Number(row[0]), describedBy(row)]))
  const known = new Map<number, Sized>()
  const resolve = (oid: number): Sized => {
    const before = known.get(oid)
    if (before !== undefined) return before
    const type = described.get(oid)
    if (type === undefined) return { type: builtinType(oid), parts: 1 }
    // A type that holds itself, in an array, holds something unknown.
    known.set(oid, { type: OTHER, parts: 1 })
    let parts = 1
    const found = built(type, (part) => {
      const resolved = resolve(part)
      parts += resolved.parts
      return resolved.type
    })
    const sized = parts > PARTS_MAX ? { type: OTHER, parts: 1 } : { type: found, parts }
    known.set(oid, sized)
    return sized
  }
  return (oid) => resolve(oid).type
}

type Sized = { readonly type: ValueType; readonly parts: number }

function built(type: Described, resolve: TypeLookup): ValueType {
  switch (type.form) {
    case 'd':
      return resolve(type.base)
    case 'e':
      return { kind: 'enum', labels: type.labels }
    case 'c':
      return { kind: 'composite', attributes: type.attributes.map(resolve) }
    case 'r':
      return { kind: 'range', of: resolve(type.subtype) }
    case 'm':
      return { kind: 'multirange', of: resolve(type.subtype) }
    case 'b':
      if (type.element !== 0) {
        return { kind: 'array', element: resolve(type.element), delimiter: type.delimiter }
      }
      if (type.name === 'citext' && type.extension === 'citext') return TEXT
      return type.name === 'hstore' && type.extension === 'hstore'
        ? { kind: 'neutral', name: 'hstore' }
        : OTHER
    default:
      return OTHER
  }
}

function describedBy(row: readonly (string | null)[]): Described {
  const text = (at: number): string => row[at] ?? ''
  return {
    form: text(1),
    name: text(2),
    delimiter: text(3),
    base: Number(text(4)),
    element: Number(text(5)),
    subtype: Number(text(6)),
    labels: list(text(7)).map(String),
    attributes: list(text(8)).map(Number),
    extension: text(9),
  }
}

function list(json: string): readonly unknown[] {
  const parsed: unknown = json === '' ? [] : JSON.parse(json)
  return Array.isArray(parsed) ? parsed : []
}
