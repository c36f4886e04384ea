/**
 * Random schemas with a marker in every labelled cell: tables with columns of many types, a partitioned and an
 * inherited one, a domain, a composite type. Views are made by queries.ts and added here.
 */
import type { Markers } from './markers.ts'

export const TYPES = [
  'text',
  'int',
  'bigint',
  'numeric',
  'float8',
  'bool',
  'date',
  'timestamp',
  'json',
  'jsonb',
  'uuid',
  'bytea',
  'text[]',
  'int[]',
  'pair',
  'dtext',
  'inet',
  'int8range',
] as const
export type Type = (typeof TYPES)[number]

/** `labelled`: a protected value, or one that may depend on some. */
export type Column = { readonly name: string; readonly type: Type; readonly labelled: boolean }

export type Relation = {
  readonly name: string
  readonly columns: readonly Column[]
  /** Reading it at all depends on protected values: a view that filters by one. */
  readonly tainted: boolean
  readonly kind: 'table' | 'parent' | 'partitioned' | 'view' | 'materialised'
}

export type Schema = {
  readonly relations: Relation[]
  /** Statements that make it, in order. */
  readonly ddl: string[]
  /** `public.t1.c2` -> label. */
  readonly labels: ReadonlyMap<string, string>
}

/** How each label hides its values: `partial` ones would keep letters on purpose, so only short ends of them. */
export const LABELS = {
  'p.full': 'full',
  'p.null': '"null"',
  'p.mail': '{ kind: partial, of: email }',
  'p.last': '{ kind: partial, of: last, keep: 2 }',
} as const

const LABEL_NAMES = Object.keys(LABELS)
const ROWS = 4

type Dice = {
  below(n: number): number
  chance(percent: number): boolean
  pick<T>(list: readonly T[]): T
}

export function diceOf(random: () => number): Dice {
  const below = (n: number) => Math.floor(random() * n)
  return {
    below,
    chance: (percent) => below(100) < percent,
    pick(list) {
      const found = list[below(list.length)]
      if (found === undefined) throw new Error('nothing to pick from')
      return found
    },
  }
}
export type { Dice }

const NAMES = [
  'name',
  'email',
  'note',
  'plan',
  'total',
  'id2',
  'at',
  'kind',
  'x',
  'value',
  'Key',
  'user',
  'data',
]

export function makeSchema(random: () => number, markers: Markers): Schema {
  const dice = diceOf(random)
  const relations: Relation[] = []
  const ddl = [
    'CREATE TYPE pair AS (a text, n int)',
    'CREATE DOMAIN dtext AS text CHECK (length(value) < 1000)',
  ]
  const labels = new Map<string, string>()
  const add = (relation: Relation, head: string, tail = '') => {
    const columns = relation.columns.map(({ name, type }) => `"${name}" ${type}`)
    ddl.push(`CREATE TABLE ${head} (${columns.join(', ')}${tail}`)
    relations.push(relation)
    for (const { name, labelled } of relation.columns) {
      if (labelled) labels.set(`public.${relation.name}.${name}`, dice.pick(LABEL_NAMES))
    }
  }
  const fill = (relation: Relation) => {
    for (let row = 0; row < ROWS; row++) {
      const cells = relation.columns.map((column) =>
        column.name === 'id' ? String(row) : cell(dice, markers, column, row),
      )
      const names = relation.columns.map(({ name }) => `"${name}"`)
      ddl.push(`INSERT INTO ${relation.name} (${names.join(', ')}) VALUES (${cells.join(', ')})`)
    }
  }

  // Every type once labelled and once not somewhere, in random company.
  const left: { type: Type; labelled: boolean }[] = TYPES.flatMap((type) => [
    { type, labelled: type !== 'bool' },
    { type, labelled: false },
  ])
  left.push(
    { type: 'text', labelled: true },
    { type: 'text', labelled: true },
    { type: 'text', labelled: false },
  )
  for (let t = 1; left.length > 0; t++) {
    const columns: Column[] = [{ name: 'id', type: 'int', labelled: false }]
    // One table in three protects nothing.
    const plain = t % 3 === 0
    const free = [...NAMES]
    for (let count = 3 + dice.below(5); count > 0; count--) {
      const choices = left.filter((each) => !plain || !each.labelled)
      if (choices.length === 0) break
      const chosen = dice.pick(choices)
      left.splice(left.indexOf(chosen), 1)
      const name = dice.pick(free)
      free.splice(free.indexOf(name), 1)
      columns.push({ name, ...chosen })
    }
    const relation: Relation = { name: `t${t}`, columns, tainted: false, kind: 'table' }
    add(relation, relation.name, ', PRIMARY KEY (id))')
    fill(relation)
  }
  const small = (name: string, kind: Relation['kind']): Relation => ({
    name,
    kind,
    tainted: false,
    columns: [
      { name: 'id', type: 'int', labelled: false },
      { name: 'email', type: 'text', labelled: true },
      { name: 'n', type: 'int', labelled: dice.chance(50) },
      { name: 'note', type: 'text', labelled: false },
    ],
  })
  const parent = small('parent', 'parent')
  add(parent, 'parent', ')')
  fill(parent)
  const child = {
    ...parent,
    name: 'child',
    columns: [...parent.columns, { name: 'extra', type: 'text', labelled: false } as const],
  }
  ddl.push('CREATE TABLE child ("extra" text) INHERITS (parent)')
  relations.push(child)
  fill(child)
  const parts = small('parts', 'partitioned')
  add(parts, 'parts', ') PARTITION BY RANGE (id)')
  ddl.push(
    'CREATE TABLE parts_1 ("note" text, "n" int, "email" text, "id" int)',
    'ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (2)',
    'CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2) TO (100)',
  )
  relations.push({ ...parts, name: 'parts_1', kind: 'table', columns: parts.columns.toReversed() })
  fill(parts)
  return { relations, ddl, labels }
}

/** A value as SQL writes it; protected ones are markers. */
function cell(dice: Dice, markers: Markers, { type, labelled }: Column, row: number): string {
  if (dice.chance(labelled ? 4 : 12)) return 'NULL'
  const word = () => (labelled ? markers.word() : dice.pick(['red', 'green', 'blue', 'a b', '42', '7']))
  const int = () => (labelled ? markers.integer(9) : row + dice.below(3))
  switch (type) {
    case 'text':
    case 'dtext':
      if (!labelled) return quote(word())
      return quote(
        dice.pick([
          () => word(),
          () => `${word()}@ex.org`,
          () => `<${word()}&"'\\ ${word()}>`,
          () => `+1 ${word()} é`,
        ])(),
      )
    case 'int':
      return String(int())
    case 'bigint':
      return String(labelled ? markers.integer(16) : row)
    case 'numeric':
      return labelled ? markers.numeric() : `${row}.5`
    case 'float8':
      return labelled ? markers.float() : `${row}.5`
    case 'bool':
      return dice.pick(['true', 'false'])
    case 'date':
      return quote(labelled ? markers.date() : `2020-01-0${row + 1}`)
    case 'timestamp':
      return quote(labelled ? markers.timestamp() : `2020-01-0${row + 1} 10:00:00`)
    case 'json':
    case 'jsonb':
      return quote(JSON.stringify({ k: word(), n: int(), list: [word()] }))
    case 'uuid':
      return quote(labelled ? markers.uuid() : `00000000-0000-4000-8000-00000000000${row}`)
    case 'bytea':
      return `convert_to(${quote(word())}, 'UTF8')`
    case 'text[]':
      return `ARRAY[${quote(word())}, ${quote(word())}]`
    case 'int[]':
      return `ARRAY[${int()}, ${int()}]`
    case 'pair':
      return `ROW(${quote(word())}, ${int()})::pair`
    case 'inet':
      return quote(labelled ? markers.inet() : `10.0.0.${row}`)
    case 'int8range':
      return labelled ? range(markers.integer(16)) : `int8range(${row}, ${row + 5})`
  }
}

function range(from: number): string {
  return `int8range(${from}, ${from} + 5)`
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
