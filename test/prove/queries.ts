/** Random statements over a random schema: queries of every shape, and statements that write. Not sensible, only legal. */
import type { Built, Context, Item } from './expressions.ts'
import type { Major } from '../support/postgres.ts'
import { Expressions } from './expressions.ts'
import { Decks } from './rare.ts'
import type { Column, Dice, Relation, Schema, Type } from './schemas.ts'

export type Statement = {
  /** What is tried. `steps` come first, in the same transaction, and what they return is looked at too. */
  readonly steps: readonly string[]
  readonly sql: string
  /** Returns rows by itself: may be put into a cursor, COPY, EXPLAIN or PREPARE. */
  readonly isQuery: boolean
  /** Something protected is named in it, or read by something it names. */
  readonly touched: boolean
  /** Changes data: has to be undone. */
  readonly writes: boolean
}

/** What PostgreSQL 16 and later added. */
const NEWER =
  /\bJSON_(VALUE|QUERY|EXISTS|TABLE|ARRAY|ARRAYAGG|OBJECT|OBJECTAGG|SCALAR|SERIALIZE)\(|\bJSON\(|\bany_value\(|IS (NOT )?JSON\b|MERGE INTO .* RETURNING/

/** Types of outputs that are one of the rare kinds. */
const ROOTED: readonly Type[] = ['bool', 'bool', 'text', 'int', 'jsonb']

export class Queries extends Expressions {
  readonly #schema: Schema
  #ctes: Item[] = []
  #names = 0
  /** Only relations and columns without protection: for the count of what is refused needlessly. */
  #plain = false
  #writes = false

  constructor(dice: Dice, schema: Schema, decks: Decks = new Decks()) {
    super(dice, decks)
    this.#schema = schema
  }

  /** One that this server knows the grammar and the functions of, most of the time. */
  statement(major: Major = 18): Statement {
    const wanted = major < 18 && !this.dice.chance(8)
    for (let tries = 0; ; tries++) {
      const statement = this.#statement()
      const text = [...statement.steps, statement.sql].join('; ')
      if (!wanted || tries >= 200 || !NEWER.test(text)) return statement
    }
  }

  #statement(): Statement {
    this.#begin()
    this.#plain = this.dice.chance(25)
    const kind = this.dice.below(100)
    if (kind < 74) return this.#done([], this.#withClause() + this.query(3).sql, true)
    if (kind < 92) return this.#write()
    return this.#made()
  }

  /** The definition of a view, with the columns it will have. */
  view(): Built & { readonly tainted: boolean } {
    this.#begin()
    const built = this.query(2)
    return { ...built, tainted: this.touched }
  }

  #begin(): void {
    this.touched = false
    this.#writes = false
    this.#ctes = []
    this.#names = 0
    this.#plain = false
  }

  #done(steps: readonly string[], sql: string, isQuery: boolean): Statement {
    return { steps, sql, isQuery, touched: this.touched, writes: this.#writes || steps.length > 0 }
  }

  #name(letter: string): string {
    return `${letter}${++this.#names}`
  }

  /** With `#plain`, what is protected is as if it were not there. */
  #visible(columns: readonly Column[]): readonly Column[] {
    return this.#plain ? columns.filter(({ labelled }) => !labelled) : columns
  }

  #relation(kinds?: readonly Relation['kind'][]): Relation {
    const fitting = this.#schema.relations.filter(
      (each) => (kinds === undefined || kinds.includes(each.kind)) && !(this.#plain && each.tainted),
    )
    return this.dice.pick(fitting)
  }

  protected scalar(type: Type, context: Context): string {
    const depth = context.depth - 1
    // Correlated or not: an inner query of a grouped one may refer to nothing outside its groups.
    const outer = context.keys === undefined && this.dice.chance(50) ? context.items : []
    const { dice } = this
    if (dice.chance(10)) return `VALUES (${this.of(type, { items: outer, depth })})`
    const from = dice.chance(90) ? this.#from(depth, outer) : undefined
    const scope = { items: [...(from?.items ?? []), ...outer], depth }
    const out = dice.chance(15) ? this.aggregate(type, scope) : this.of(type, scope)
    const where = dice.chance(30) ? ` WHERE ${this.root('bool', scope, 'where')}` : ''
    return `SELECT ${out}${from === undefined ? '' : ` FROM ${from.sql}`}${where} LIMIT 1`
  }

  #withClause(): string {
    const { dice } = this
    if (!dice.chance(22)) return ''
    const recursive = dice.chance(30)
    const parts: string[] = []
    if (recursive) {
      const seed = this.query(1, [], ['int', 'text'])
      const name = this.#name('r')
      const item: Item = { alias: name, columns: seed.columns, tainted: this.touched }
      const [first, second] = seed.columns
      const step = dice.pick([
        `SELECT "${first?.name}" + 1, "${second?.name}" FROM ${name} WHERE "${first?.name}" < 3`,
        `SELECT "${first?.name}" + 1, (${this.of('text', { items: [item], depth: 1 })})::text FROM ${name} WHERE "${first?.name}" < 3`,
      ])
      const tail = dice.pick([
        '',
        '',
        ` SEARCH DEPTH FIRST BY "${first?.name}" SET so`,
        ` CYCLE "${first?.name}" SET cy USING pa`,
      ])
      parts.push(
        `${name} ("${first?.name}", "${second?.name}") AS (SELECT * FROM (${seed.sql}) s(a, b) UNION ${dice.pick(['', 'ALL '])}${step})${tail}`,
      )
      this.#ctes.push(item)
    }
    for (let n = dice.below(2) + (recursive ? 0 : 1); n > 0; n--) {
      const name = dice.chance(20) ? this.#relation(['table']).name : this.#name('w')
      if (this.#ctes.some(({ alias }) => alias === name)) continue
      const built = dice.chance(25) ? this.#returning() : this.query(2)
      const hint = dice.pick(['', '', ' MATERIALIZED', ' NOT MATERIALIZED'])
      const renamed = dice.chance(30)
      const columns = renamed
        ? built.columns.map((column, i) => ({ ...column, name: `n${i}` }))
        : built.columns
      const list = renamed ? ` (${columns.map((column) => `"${column.name}"`).join(', ')})` : ''
      parts.push(`${name}${list} AS${hint} (${built.sql})`)
      this.#ctes.push({ alias: name, columns, tainted: this.touched })
    }
    return parts.length === 0 ? '' : `WITH ${recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} `
  }

  /** `want`: the types of its outputs. */
  query(depth: number, outer: readonly Item[] = [], want?: readonly Type[]): Built {
    const { dice } = this
    if (depth > 1 && dice.chance(12)) {
      const left = this.query(depth - 1, outer, want)
      const right = this.query(
        depth - 1,
        outer,
        left.columns.map(({ type }) => type),
      )
      const operator = dice.pick(['UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL'])
      const columns = left.columns.map((column, i) => ({
        ...column,
        labelled: column.labelled || right.columns[i]?.labelled === true,
      }))
      const order = dice.chance(20) ? ' ORDER BY 1' : ''
      return { sql: `(${left.sql}) ${operator} (${right.sql})${order}`, columns }
    }
    if (want === undefined && dice.chance(3)) {
      const columns = [0, 1].map((i) => {
        const { sql, type } = this.any({ items: outer, depth })
        return { sql, column: { name: `column${i + 1}`, type, labelled: this.touched } }
      })
      return {
        sql: `VALUES (${columns.map(({ sql }) => sql).join(', ')})`,
        columns: columns.map(({ column }) => column),
      }
    }
    if (want === undefined && dice.chance(3)) {
      const relation = this.#relation()
      if (!this.#plain || relation.columns.every(({ labelled }) => !labelled)) {
        if (relation.tainted || relation.columns.some(({ labelled }) => labelled)) this.touched = true
        return { sql: `TABLE ${relation.name}`, columns: relation.columns }
      }
    }
    return dice.chance(22) ? this.#grouped(depth, outer, want) : this.#select(depth, outer, want)
  }

  #outputs(context: Context, want: readonly Type[] | undefined, place = 'output'): Built {
    const { dice } = this
    const count = want?.length ?? 1 + dice.below(4)
    const parts: string[] = []
    const columns: Column[] = []
    for (let i = 0; i < count; i++) {
      const before = this.touched
      this.touched = false
      const wanted = want?.[i]
      const bare = context.keys === undefined && dice.chance(40)
      const all = context.items.flatMap((item) => item.columns)
      const free = bare && all.length > 0 ? dice.pick(all).type : undefined
      const rooted = !bare && dice.chance(place === 'output' ? 20 : 60) ? dice.pick(ROOTED) : undefined
      const type = wanted ?? free ?? rooted
      const made =
        type === undefined
          ? this.any(context)
          : {
              type,
              sql: bare
                ? (this.column(type, context) ?? this.of(type, context))
                : this.root(type, context, place),
            }
      const name = dice.pick(['x', 'email', 'id', 'note', 'out']) + String(i)
      parts.push(`${made.sql} AS "${name}"`)
      columns.push({ name, type: made.type, labelled: this.touched })
      this.touched ||= before
    }
    return { sql: parts.join(', '), columns }
  }

  #select(depth: number, outer: readonly Item[], want: readonly Type[] | undefined): Built {
    const { dice } = this
    const from = this.#from(depth, outer)
    const items = [...from.items, ...outer]
    const scope: Context = { items, depth }
    const hasStar = want === undefined && !this.#plain && dice.chance(10)
    const star = hasStar ? this.#star(from.items) : undefined
    const outputs = star ?? this.#outputs({ ...scope, windows: true }, want)
    const before = this.touched
    const where = dice.chance(30) ? ` WHERE ${this.root('bool', scope, 'where')}` : ''
    let distinct = ''
    let order = ''
    if (dice.chance(14)) {
      const key = this.orderable({ items, depth: 1 }, 'distinct')
      const bare = key.replace(/ (DESC|NULLS FIRST|USING <)$/, '')
      distinct = dice.pick(['DISTINCT ', `DISTINCT ON (${bare}) `, `DISTINCT ON (${bare}) `])
      if (distinct !== 'DISTINCT ') order = ` ORDER BY ${key}`
    } else if (dice.chance(25)) {
      order = ` ORDER BY ${dice.chance(30) ? '1' : this.orderable({ ...scope, depth: 1, windows: true })}`
    }
    const limit = dice.chance(22)
      ? dice.pick([
          ' LIMIT 3',
          ` LIMIT (${this.root('int', { items: outer, depth: 2 }, 'limit')})`,
          ` OFFSET (${this.root('int', { items: outer, depth: 1 }, 'limit')}) ROWS FETCH FIRST 2 ROWS ONLY`,
          ` LIMIT (SELECT ${this.aggregate('int', { items: this.#from(0, []).items, depth: 1 })})`.replace(
            / LIMIT \(SELECT .*/,
            ' LIMIT 5',
          ),
        ])
      : ''
    const window = /OVER w\b/.test(outputs.sql + order)
      ? ` WINDOW w AS (PARTITION BY ${this.root('int', { items, depth: 1 }, 'window')} ORDER BY ${this.orderable({ items, depth: 1 }, 'window')})`
      : ''
    const lock = distinct === '' && dice.chance(2) ? ' FOR SHARE' : ''
    // What decides which rows come decides what each output says.
    const columns =
      this.touched && !before
        ? outputs.columns.map((column) => ({ ...column, labelled: true }))
        : outputs.columns
    return {
      sql: `SELECT ${distinct}${outputs.sql} FROM ${from.sql}${where}${window}${order}${limit}${lock}`,
      columns,
    }
  }

  #star(items: readonly Item[]): Built | undefined {
    const { dice } = this
    const whole = dice.chance(50)
    const chosen = whole ? items : [dice.pick(items)]
    const columns = chosen.flatMap((item) => item.columns)
    if (new Set(columns.map(({ name }) => name)).size < columns.length || columns.length === 0)
      return undefined
    if (chosen.some((item) => item.tainted || item.columns.some(({ labelled }) => labelled)))
      this.touched = true
    return { sql: whole ? '*' : dice.pick([`${chosen[0]?.alias}.*`, `(${chosen[0]?.alias}).*`]), columns }
  }

  #grouped(depth: number, outer: readonly Item[], want: readonly Type[] | undefined): Built {
    const { dice } = this
    const from = this.#from(depth, [])
    const scope: Context = { items: from.items, depth: 1 }
    const types: readonly Type[] = ['text', 'int', 'date', 'bool', 'numeric', 'uuid']
    const keys = Array.from({ length: dice.below(3) }, () => {
      const type = dice.pick(types)
      return {
        type,
        sql: dice.chance(60)
          ? (this.column(type, scope) ?? this.of(type, scope))
          : this.root(type, scope, 'group'),
      }
    }).filter((key) => /"/.test(key.sql) && !/OVER/.test(key.sql))
    const where = dice.chance(30)
      ? ` WHERE ${this.of('bool', { items: [...from.items, ...outer], depth: 2 })}`
      : ''
    const group =
      keys.length === 0
        ? ''
        : ` GROUP BY ${dice.pick([
            () => keys.map(({ sql }) => sql).join(', '),
            () => keys.map(({ sql }) => sql).join(', '),
            () => `GROUPING SETS (${keys.map(({ sql }) => `(${sql})`).join(', ')}, ())`,
            () => `${dice.pick(['ROLLUP', 'CUBE'])} (${keys.map(({ sql }) => sql).join(', ')})`,
          ])()}`
    const grouped: Context = { items: from.items, keys, depth: Math.min(depth, 2) }
    const before = this.touched
    const outputs = this.#outputs({ ...grouped, windows: true }, want)
    const having = dice.chance(25) ? ` HAVING ${this.root('bool', { ...grouped, depth: 2 }, 'having')}` : ''
    const order = dice.chance(20) ? ` ORDER BY ${this.orderable({ ...grouped, depth: 1 })}` : ''
    const window = /OVER w\b/.test(outputs.sql) ? ` WINDOW w AS (ORDER BY count(*))` : ''
    const columns =
      before || this.touched ? outputs.columns.map((each) => ({ ...each, labelled: true })) : outputs.columns
    return {
      sql: `SELECT ${outputs.sql} FROM ${from.sql}${where}${group}${having}${window}${order}`,
      columns,
    }
  }

  #from(depth: number, outer: readonly Item[]): { sql: string; items: Item[] } {
    const { dice } = this
    const first = this.#item(depth, outer, false)
    let { sql } = first
    const items = [first.item]
    // Behind a comma, ON can only see what came after it.
    let isComma = false
    for (let n = dice.pick([0, 0, 0, 1, 1, 2]); n > 0; n--) {
      const isLateral = dice.chance(40)
      const next = this.#item(depth - 1, isLateral ? [...items, ...outer] : outer, isLateral)
      const how = dice.below(10)
      const both = [...items, next.item]
      const on = () => (dice.chance(45) ? 'true' : this.root('bool', { items: both, depth: 1 }, 'on'))
      if (how < 3 || isComma) {
        sql += `, ${next.sql}`
        isComma = true
      } else if (how < 4) sql += ` CROSS JOIN ${next.sql}`
      else if (how < 8)
        sql += ` ${dice.pick(['JOIN', 'LEFT JOIN', 'JOIN', 'LEFT JOIN'])} ${next.sql} ON ${on()}`
      else if (how < 9 && !isLateral && n === 1 && items.length === 1) {
        const common = first.item.columns.find((mine) =>
          next.item.columns.some(
            (yours) => yours.name === mine.name && yours.type === mine.type && mine.type !== 'json',
          ),
        )
        if (common === undefined) sql += ` CROSS JOIN ${next.sql}`
        else {
          const protects = [common, next.item.columns.find(({ name }) => name === common.name)]
          if (protects.some((column) => column?.labelled) || first.item.tainted || next.item.tainted)
            this.touched = true
          sql += ` ${dice.pick(['', 'LEFT ', 'FULL '])}JOIN ${next.sql} USING ("${common.name}")`
        }
      } else if (!isLateral && !this.#plain && dice.chance(30)) {
        if (both.some((item) => item.tainted || item.columns.some(({ labelled }) => labelled)))
          this.touched = true
        sql += ` NATURAL JOIN ${next.sql}`
      } else if (!isLateral) sql += ` RIGHT JOIN ${next.sql} ON ${this.of('bool', { items: both, depth: 0 })}`
      else sql += ` CROSS JOIN ${next.sql}`
      items.push(next.item)
    }
    return { sql, items }
  }

  #item(depth: number, outer: readonly Item[], isLateral: boolean): { sql: string; item: Item } {
    const { dice } = this
    const lateral = isLateral ? 'LATERAL ' : ''
    if (depth > 0 && dice.chance(isLateral ? 40 : 22)) {
      const before = this.touched
      this.touched = false
      const built = this.query(depth - 1, isLateral ? outer : [])
      const alias = this.#name('s')
      const renamed = dice.chance(30)
      const columns = renamed
        ? built.columns.map((column, i) => ({ ...column, name: `m${i}` }))
        : built.columns
      const list = renamed ? ` (${columns.map(({ name }) => `"${name}"`).join(', ')})` : ''
      const item = { alias, columns, tainted: this.touched }
      this.touched ||= before
      return { sql: `${lateral}(${built.sql}) AS ${alias}${list}`, item }
    }
    if (dice.chance(isLateral ? 70 : 8)) return this.#function(depth, outer, lateral)
    if (this.#ctes.length > 0 && dice.chance(45)) {
      const cte = dice.pick(this.#ctes)
      const alias = this.#name('c')
      return { sql: `${cte.alias} AS ${alias}`, item: { ...cte, alias } }
    }
    const relation = this.#relation()
    const alias = dice.chance(85) ? this.#name('a') : dice.pick(['email', 'note', 'x']) + this.#name('')
    const columns = this.#visible(relation.columns)
    const sample =
      relation.kind === 'table' && dice.chance(4) ? ' TABLESAMPLE SYSTEM (100) REPEATABLE (1)' : ''
    const only = dice.chance(4) && relation.kind === 'parent' ? 'ONLY ' : ''
    if (relation.tainted) this.touched = true
    const list = sample === '' && !this.#plain && dice.chance(8)
    const named = list ? relation.columns.map((column, i) => ({ ...column, name: `k${i}` })) : columns
    const tail = list ? ` (${named.map(({ name }) => name).join(', ')})` : ''
    const schema = dice.chance(20) && !this.#ctes.some((cte) => cte.alias === relation.name) ? 'public.' : ''
    const hidden = this.#ctes.find((cte) => cte.alias === relation.name)
    if (schema === '' && hidden !== undefined)
      return { sql: `${hidden.alias} AS ${alias}`, item: { ...hidden, alias } }
    return {
      sql: `${only}${schema}${relation.name} AS ${alias}${tail}${sample}`,
      item: {
        alias,
        columns: named,
        tainted: relation.tainted,
        hides: named.length < relation.columns.length,
      },
    }
  }

  #function(depth: number, outer: readonly Item[], lateral: string): { sql: string; item: Item } {
    const { dice } = this
    const before = this.touched
    this.touched = false
    const context: Context = { items: outer, depth: Math.max(1, depth) }
    const alias = this.#name('f')
    const of = (type: Type) => this.root(type, context, 'from')
    const whole = () => (lateral === '' ? of('jsonb') : `to_jsonb(${this.row(context) ?? of('text')})`)
    const make: (() => [string, string, Type][])[] = [
      () => [[`generate_series(1, 1 + abs(${of('int')}) % 3) AS ${alias}(v)`, 'v', 'int']],
      () => [[`unnest(${of('text[]')}) AS ${alias}(v)`, 'v', 'text']],
      () => [
        [
          `jsonb_array_elements_text(jsonb_build_array(${of('text')}, ${of('int')})) AS ${alias}(v)`,
          'v',
          'text',
        ],
      ],
      () => [[`string_to_table(${of('text')}, ' ') AS ${alias}(v)`, 'v', 'text']],
      () => [[`regexp_split_to_table(${of('text')}, ' ') AS ${alias}(v)`, 'v', 'text']],
      () => [[`upper(${of('text')}) AS ${alias}(v)`, 'v', 'text']],
      () => [
        [`jsonb_each_text(${whole()}) AS ${alias}(v, u)`, 'v', 'text'],
        ['', 'u', 'text'],
      ],
      () => [
        [
          `ROWS FROM (unnest(${of('text[]')}), generate_series(1, 2)) WITH ORDINALITY AS ${alias}(v, u, o)`,
          'v',
          'text',
        ],
        ['', 'u', 'int'],
      ],
      () => [
        [`jsonb_to_record(${of('jsonb')}) AS ${alias}(k text, n text)`, 'k', 'text'],
        ['', 'n', 'text'],
      ],
      () => [
        [
          `JSON_TABLE(${of('jsonb')}, '$' COLUMNS (k text PATH '$.k', NESTED PATH '$.list[*]' COLUMNS (l text PATH '$'))) AS ${alias}`,
          'k',
          'text',
        ],
        ['', 'l', 'text'],
      ],
      () => [
        [
          `XMLTABLE('/a' PASSING xmlelement(name a, ${of('text')}) COLUMNS v text PATH '.') AS ${alias}`,
          'v',
          'text',
        ],
      ],
      () => [
        [`(VALUES (${of('text')}, ${of('int')}), ('v', 1)) AS ${alias}(v, u)`, 'v', 'text'],
        ['', 'u', 'int'],
      ],
    ]
    const made = dice.pick(make)()
    const isLabelled = this.touched
    this.touched ||= before
    const columns = made.map(([, name, type]) => ({ name, type, labelled: isLabelled }))
    return { sql: `${lateral}${made[0]?.[0] ?? ''}`, item: { alias, columns, tainted: isLabelled } }
  }

  /** A statement that writes and returns. */
  #returning(): Built {
    const { dice } = this
    this.#writes = true
    const relation = this.#relation(['table', 'parent', 'partitioned'])
    const columns = this.#visible(relation.columns).filter(({ name }) => name !== 'id')
    const alias = this.#name('d')
    const visible = this.#visible(relation.columns)
    const hides = visible.length < relation.columns.length
    const own: Item = { alias, columns: visible, tainted: relation.tainted, hides }
    const kind =
      relation.kind === 'table' && relation.name.startsWith('t')
        ? dice.pick([0, 1, 1, 2, 3, 3, 3, 4, 4])
        : dice.below(2)
    const assigned = (context: Context, place: string) =>
      columns.length === 0
        ? 'id = id'
        : Array.from({ length: 1 + dice.below(2) }, () => dice.pick(columns))
            .filter((each, i, all) => all.findIndex(({ name }) => name === each.name) === i)
            .map((each) => {
              if (each.labelled) this.touched = true
              return `"${each.name}" = ${dice.chance(10) ? 'DEFAULT' : this.root(each.type, context, place)}`
            })
            .join(', ')
    const returning = (context: Context) => {
      const outputs = this.#outputs({ ...context, depth: 2 }, undefined, 'returning')
      const star = !this.#plain && dice.chance(15)
      if (!star) return outputs
      if (relation.columns.some(({ labelled }) => labelled)) this.touched = true
      return { sql: `${alias}.*`, columns: relation.columns }
    }
    if (kind < 2) {
      const from = dice.chance(50) ? this.#from(1, []) : undefined
      const context: Context = { items: [own, ...(from?.items ?? [])], depth: 2 }
      const where = dice.chance(70) ? ` WHERE ${this.root('bool', { ...context, depth: 1 }, 'where')}` : ''
      const out = returning(context)
      if (kind === 0 || columns.length === 0)
        return {
          sql: `DELETE FROM ${relation.name} AS ${alias}${from === undefined ? '' : ` USING ${from.sql}`}${where} RETURNING ${out.sql}`,
          columns: out.columns,
        }
      return {
        sql: `UPDATE ${relation.name} AS ${alias} SET ${assigned(context, 'set')}${from === undefined ? '' : ` FROM ${from.sql}`}${where} RETURNING ${out.sql}`,
        columns: out.columns,
      }
    }
    const chosen = columns.slice(0, 1 + dice.below(3))
    if (chosen.some(({ labelled }) => labelled)) this.touched = true
    const names = ['id', ...chosen.map(({ name }) => `"${name}"`)].join(', ')
    if (kind === 2) {
      const source = this.#from(1, [])
      const outputs = chosen.map(({ type }) => this.root(type, { items: source.items, depth: 2 }, 'output'))
      const out = returning({ items: [own], depth: 2 })
      return {
        sql: `INSERT INTO ${relation.name} AS ${alias} (${names}) SELECT ${['100 + row_number() OVER ()', ...outputs].join(', ')} FROM ${source.sql} RETURNING ${out.sql}`,
        columns: out.columns,
      }
    }
    if (kind === 3) {
      const values = chosen.map(({ type }) =>
        dice.chance(40) ? this.literal(type) : this.root(type, { items: [], depth: 2 }, 'values'),
      )
      const excluded: Item = { ...own, alias: 'excluded' }
      const both: Context = { items: [own, excluded], depth: 2 }
      const conflict = dice.chance(80)
        ? ` ON CONFLICT (id) DO ${dice.chance(20) ? 'NOTHING' : `UPDATE SET ${assigned(both, 'conflict')} WHERE ${this.root('bool', { ...both, depth: 1 }, 'conflict')}`}`
        : ''
      const out = returning({ items: [own], depth: 2 })
      return {
        sql: `INSERT INTO ${relation.name} AS ${alias} (${names}) VALUES (${[dice.pick(['1', '50']), ...values].join(', ')})${conflict} RETURNING ${out.sql}`,
        columns: out.columns,
      }
    }
    const source = this.#item(1, [], false)
    const both: Context = { items: [own, source.item], depth: 1 }
    const out = returning(both)
    return {
      sql: `MERGE INTO ${relation.name} AS ${alias} USING ${source.sql} ON ${this.root('bool', both, 'merge')} WHEN MATCHED AND ${this.root('bool', both, 'merge')} THEN UPDATE SET ${assigned(both, 'merge')} WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND false THEN INSERT (id) VALUES (77) RETURNING ${dice.chance(30) ? 'merge_action() AS "act", ' : ''}${out.sql}`,
      columns: out.columns,
    }
  }

  #write(): Statement {
    const withClause = this.dice.chance(20) ? this.#withClause() : ''
    const { sql } = this.#returning()
    const written = /(?:UPDATE|INTO|FROM) (t\d+|parent|parts) AS d\d/.exec(sql)?.[1]
    if (this.dice.chance(50) || written === undefined) return this.#done([], withClause + sql, false)
    // What was written is read back: values must not have moved to where nobody hides them.
    const relation = this.#schema.relations.find(({ name }) => name === written)
    const columns = this.#visible(relation?.columns ?? [])
    if (columns.some(({ labelled }) => labelled)) this.touched = true
    this.#writes = true
    const list = columns.map(({ name }) => `"${name}"`).join(', ')
    return this.#done([withClause + sql], `SELECT ${list === '' ? '1' : list} FROM ${written}`, true)
  }

  /** Something is made from a query and then read. */
  #made(): Statement {
    const { dice } = this
    const { sql } = this.query(2)
    const name = dice.pick(['made', 'made', 't1'])
    const into = dice.pick([
      `CREATE TEMP TABLE ${name} AS ${sql}`,
      `CREATE TEMP VIEW ${name} AS ${sql}`,
      `CREATE MATERIALIZED VIEW made AS ${sql}`,
      `CREATE TABLE made AS ${sql}`,
      `SELECT * INTO TEMP ${name} FROM (${sql}) q`,
      `CREATE TEMP TABLE ${name} AS EXECUTE made_by`,
    ])
    const steps = into.includes('made_by') ? [`PREPARE made_by AS ${sql}`, into] : [into]
    const from = into.includes(` ${name} `) ? name : 'made'
    const read = dice.pick([
      `SELECT * FROM ${from}`,
      `TABLE ${from}`,
      `SELECT x::text FROM ${from} x`,
      `SELECT to_jsonb(x) FROM ${from} x`,
    ])
    this.#writes = true
    // To take the name of what is protected is to touch it: that is refused on purpose.
    const taken = this.#schema.relations.find((each) => each.name === from)
    if (taken?.columns.some(({ labelled }) => labelled) === true) this.touched = true
    return this.#done(steps, read, true)
  }
}
