/**
 * Random statements over the tables of schema.ts, for asking whether what the analysis lets pass really tells nothing of
 * protected values. They need not be sensible, only parse now and then run: what the server refuses is skipped.
 */
type Type = 'int' | 'text'
type Column = { readonly name: string; readonly type: Type }
type Item = { readonly alias: string; readonly columns: readonly Column[] }

const TABLES: Readonly<Record<string, readonly Column[]>> = {
  customers: columns('id:int name email phone plan country folded'),
  orders: columns('id:int customer_id:int total:int note'),
  leads: columns('id:int email source'),
  events: columns('id:int at:int contact_email kind'),
  events_1: columns('kind contact_email id:int at:int'),
  people: columns('id:int name ssn'),
  staff: columns('id:int name ssn salary:int'),
  audited: columns('id:int email note'),
  order_totals: columns('customer_id:int total:int'),
  customer_list: columns('id:int name email'),
  customer_names: columns('id:int n'),
  vip: columns('id:int mail phone'),
  contacts: columns('id:int email'),
  nested: columns('id:int mail source'),
  masked_mail: columns('id:int start plan'),
  newest: columns('id:int email ssn'),
  by_address: columns('id:int plan'),
  mat: columns('id:int email country'),
}

function columns(text: string): Column[] {
  return text.split(' ').map((each) => {
    const [name = '', type] = each.split(':')
    return { name, type: type === 'int' ? 'int' : 'text' }
  })
}

/** Names that clash with columns and tables, on purpose. */
const ALIASES = ['a', 'b', 'c', 'email', 'name', 'plan', 'customers', 'orders', 'x', 'id', 'note']
const OUTPUT_NAMES = ['x', 'y', 'id', 'email', 'plan', 'e', 'name']

export class Generator {
  readonly #random: () => number
  #ctes: Item[] = []

  constructor(random: () => number) {
    this.#random = random
  }

  statement(): string {
    this.#ctes = []
    const kind = this.#below(20)
    if (kind < 15) return this.#withClause() + this.#query(3).sql
    if (kind === 15) return this.#update()
    if (kind === 16) return this.#delete()
    if (kind === 17) return this.#chance(30) ? this.#merge() : this.#insert()
    if (kind === 18) return `COPY (${this.#query(2).sql}) TO STDOUT`
    return `EXPLAIN (COSTS off) ${this.#query(2).sql}`
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #chance(percent: number): boolean {
    return this.#below(100) < percent
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[this.#below(list.length)]
    if (found === undefined) throw new Error('nothing to pick from')
    return found
  }

  #some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: 1 + this.#below(most) }, make)
  }

  #withClause(): string {
    if (!this.#chance(25)) return ''
    const parts: string[] = []
    const recursive = this.#chance(20)
    for (const _ of this.#some(2, () => 0)) {
      const name = this.#pick(['t', 'u', 'customers', 'leads'])
      const query = this.#query(1)
      parts.push(`${name} AS (${query.sql})`)
      this.#ctes.push({ alias: name, columns: query.columns })
    }
    return `WITH ${recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} `
  }

  #query(depth: number, outer: readonly Item[] = []): { sql: string; columns: Column[] } {
    if (depth > 0 && this.#chance(10)) {
      const left = this.#query(depth - 1, outer)
      const right = this.#query(depth - 1, outer)
      const operator = this.#pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'])
      return {
        sql: `(${left.sql}) ${operator} (${right.sql})${this.#order(left.columns.length, [])}`,
        columns: left.columns,
      }
    }
    const from = this.#from(depth, outer)
    const scope = [...from.items, ...outer]
    const outputs = this.#outputs(from.items, scope, depth)
    const where = this.#chance(50) ? ` WHERE ${this.#predicate(scope, depth, 2)}` : ''
    const group = this.#chance(8)
      ? ` GROUP BY ${this.#some(2, () => this.#key(outputs.columns.length, scope)).join(', ')}`
      : ''
    const distinct = this.#chance(6) ? 'DISTINCT ' : ''
    const order = this.#chance(25) ? this.#order(outputs.columns.length, scope) : ''
    const limit = this.#chance(10) ? ` LIMIT ${this.#expression('int', scope, depth > 0 ? 1 : 0)}` : ''
    const lock = this.#chance(3) ? ' FOR SHARE' : ''
    return {
      sql: `SELECT ${distinct}${outputs.sql} FROM ${from.sql}${where}${group}${order}${limit}${lock}`,
      columns: outputs.columns,
    }
  }

  #key(outputs: number, scope: readonly Item[]): string {
    if (this.#chance(30)) return String(1 + this.#below(outputs))
    if (this.#chance(20)) return this.#pick(OUTPUT_NAMES)
    return this.#expression(this.#pick(['int', 'text'] as const), scope, 0)
  }

  #order(outputs: number, scope: readonly Item[]): string {
    return ` ORDER BY ${this.#some(2, () => this.#key(outputs, scope)).join(', ')}`
  }

  #outputs(own: readonly Item[], scope: readonly Item[], depth: number): { sql: string; columns: Column[] } {
    const parts: string[] = []
    const made: Column[] = []
    for (const _ of this.#some(3, () => 0)) {
      const item = this.#pick(own)
      if (this.#chance(10)) {
        parts.push('*')
        made.push(...own.flatMap((each) => each.columns))
      } else if (this.#chance(12)) {
        parts.push(`${item.alias}.*`)
        made.push(...item.columns)
      } else if (this.#chance(60)) {
        const column = this.#pick(item.columns)
        const name = this.#chance(30) ? this.#pick(OUTPUT_NAMES) : undefined
        parts.push(this.#reference(item, column) + (name === undefined ? '' : ` AS ${name}`))
        made.push({ name: name ?? column.name, type: column.type })
      } else {
        const type = this.#pick(['int', 'text'] as const)
        const name = this.#pick(OUTPUT_NAMES)
        parts.push(`${this.#expression(type, scope, depth > 0 ? 2 : 1)} AS ${name}`)
        made.push({ name, type })
      }
    }
    return { sql: parts.join(', '), columns: made }
  }

  #reference(item: Item, column: Column): string {
    return this.#chance(65) ? `${item.alias}.${column.name}` : column.name
  }

  #from(depth: number, outer: readonly Item[]): { sql: string; items: Item[] } {
    let { sql, items } = this.#source(depth, outer)
    for (let i = this.#below(3); i > 0; i--) {
      const next = this.#source(depth, [...items, ...outer])
      const both = [...items, ...next.items]
      const how = this.#below(10)
      if (how < 4) sql += `, ${next.sql}`
      else if (how < 8) {
        const type = this.#pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'])
        sql += ` ${type} ${next.sql} ON ${this.#predicate(both, 0, 1)}`
      } else if (how === 8) sql += ` JOIN ${next.sql} USING (${this.#pick(['id', 'email', 'name'])})`
      else sql += ` NATURAL JOIN ${next.sql}`
      items = both
    }
    return { sql, items }
  }

  #source(depth: number, before: readonly Item[]): { sql: string; items: Item[] } {
    const alias = this.#pick(ALIASES)
    if (depth > 0 && this.#chance(20)) {
      const lateral = this.#chance(40)
      const query = this.#query(depth - 1, lateral ? before : [])
      return {
        sql: `${lateral ? 'LATERAL ' : ''}(${query.sql}) AS ${alias}`,
        items: [{ alias, columns: query.columns }],
      }
    }
    if (this.#ctes.length > 0 && this.#chance(40)) {
      const cte = this.#pick(this.#ctes)
      return { sql: `${cte.alias} AS ${alias}`, items: [{ alias, columns: cte.columns }] }
    }
    if (depth > 0 && this.#chance(6)) return this.#made(before, alias)
    if (this.#chance(3)) {
      const [name, found] = this.#pick(Object.entries(TABLES).slice(0, 8))
      return {
        sql: `${name} AS ${alias} TABLESAMPLE SYSTEM (100) REPEATABLE (1)`,
        items: [{ alias, columns: found }],
      }
    }
    if (this.#chance(6)) {
      const limit = this.#expression('int', before, 0)
      return {
        sql: `generate_series(1, ${limit}) AS ${alias}`,
        items: [{ alias, columns: [{ name: alias, type: 'int' }] }],
      }
    }
    const [name, found] = this.#pick(Object.entries(TABLES))
    if (this.#chance(25)) return { sql: name, items: [{ alias: name, columns: found }] }
    if (this.#chance(10)) {
      const renamed = found.map((column, i) => ({
        ...column,
        name: i % 2 === 0 ? this.#pick(OUTPUT_NAMES) + i : column.name,
      }))
      return {
        sql: `${name} AS ${alias} (${renamed.map((column) => column.name).join(', ')})`,
        items: [{ alias, columns: renamed }],
      }
    }
    return { sql: `${name} AS ${alias}`, items: [{ alias, columns: found }] }
  }

  /** Tables made of values, JSON and XML. */
  #made(before: readonly Item[], alias: string): { sql: string; items: Item[] } {
    const e = (type: Type): string => this.#expression(type, before, 1)
    const made = columns('id:int email')
    const sql = this.#pick([
      () => `LATERAL (VALUES (${e('int')}, ${e('text')}), (1, 'a')) AS ${alias} (id, email)`,
      () =>
        `jsonb_to_record(jsonb_build_object('id', ${e('int')}, 'email', ${e('text')})) AS ${alias} (id int, email text)`,
      () =>
        `XMLTABLE('/r' PASSING xmlelement(name r, ${e('text')}) COLUMNS id int PATH '@a', email text PATH '.') AS ${alias}`,
      () =>
        `JSON_TABLE(jsonb_build_array(${e('text')}), '$[*]' COLUMNS (id FOR ORDINALITY, email text PATH '$')) AS ${alias}`,
      () => `unnest(ARRAY[1, 2], ARRAY[${e('text')}, 'x']) AS ${alias} (id, email)`,
    ])()
    return { sql, items: [{ alias, columns: made }] }
  }

  /** What the touch rule allows, at times nearly. */
  #lookup(scope: readonly Item[]): string {
    const column = this.#expression('text', scope, 0)
    return this.#pick([
      () => `${column} = 'a'`,
      () => `${column} IN ('a', 'free')`,
      () => `lower(${column}) = lower('A')`,
      () => `${column} = ANY (ARRAY['a', 'b'])`,
      () => `${column} IS NULL`,
      () => `(${column}, ${this.#expression('int', scope, 0)}) = ('a', 1)`,
      () => `NOT ${column} = 'a'`,
      () => `(${column} = 'a') = ${this.#expression('text', scope, 0)} IS NULL`,
    ])()
  }

  #predicate(scope: readonly Item[], depth: number, size: number): string {
    if (size > 0 && this.#chance(35)) {
      const left = this.#predicate(scope, depth, size - 1)
      const right = this.#predicate(scope, depth, size - 1)
      return this.#chance(15) ? `NOT (${left})` : `(${left} ${this.#pick(['AND', 'OR'])} ${right})`
    }
    const type = this.#pick(['int', 'text'] as const)
    const e = (): string => this.#expression(type, scope, 1)
    if (this.#chance(25)) return this.#lookup(scope)
    switch (this.#below(9)) {
      case 0:
        return `${e()} IS NOT NULL`
      case 1:
        return `${e()} IN (${e()}, ${e()})`
      case 2:
        return `${e()} BETWEEN ${e()} AND ${e()}`
      case 3:
        return `${this.#expression('text', scope, 1)} LIKE ${this.#expression('text', scope, 0)}`
      case 4:
        return depth > 0 ? `EXISTS (${this.#query(depth - 1, scope).sql})` : 'true'
      case 5:
        return depth > 0 ? `${e()} IN (${this.#single(type, scope, depth - 1)})` : 'true'
      default:
        return `${e()} ${this.#pick(['=', '<>', '<', '>=', 'IS DISTINCT FROM'])} ${e()}`
    }
  }

  /** A subquery of one column. */
  #single(type: Type, outer: readonly Item[], depth: number): string {
    const from = this.#from(Math.max(0, depth), outer)
    const scope = [...from.items, ...outer]
    const where = this.#chance(60) ? ` WHERE ${this.#predicate(scope, 0, 1)}` : ''
    return `SELECT ${this.#expression(type, scope, 1)} FROM ${from.sql}${where}`
  }

  #expression(type: Type, scope: readonly Item[], depth: number): string {
    const items = scope.filter((item) => item.columns.some((column) => column.type === type))
    if (items.length > 0 && (depth === 0 || this.#chance(55))) {
      const item = this.#pick(items)
      const column = this.#pick(item.columns.filter((each) => each.type === type))
      return this.#reference(item, column)
    }
    if (depth === 0)
      return type === 'int' ? String(this.#below(5)) : `'${this.#pick(['a', 'free', 'c1', 'name 3'])}'`
    const e = (wanted: Type): string => this.#expression(wanted, scope, depth - 1)
    const row = scope.length === 0 ? 'NULL' : this.#pick(scope).alias
    if (type === 'int') {
      return this.#pick([
        () => `length(${e('text')})`,
        () => `(${e('int')} + ${e('int')})`,
        () => `coalesce(${e('int')}, 0)`,
        () => `count(*)`,
        () => `count(${e('text')})`,
        () => `count(DISTINCT ${e('text')})`,
        () => `count(${row})`,
        () => `(${e('text')} IS NULL)::int`,
        () => `count(*) FILTER (WHERE ${this.#predicate(scope, 0, 0)})`,
        () => `sum(${e('int')}) OVER (PARTITION BY ${e('text')})`,
        () => `json_value(to_jsonb(${row}), '$.id' RETURNING int)`,
        () => `max(${e('int')})`,
        () => `(${e('text')} = ${e('text')})::int`,
        () => `row_number() OVER (ORDER BY ${e('text')})`,
        () => `(${this.#single('int', scope, 0)} LIMIT 1)`,
        () => `CASE WHEN ${this.#predicate(scope, 0, 0)} THEN 1 ELSE 0 END`,
        () => `ascii(${e('text')})`,
      ])()
    }
    return this.#pick([
      () => `lower(${e('text')})`,
      () => `(${e('text')} || ${e('text')})`,
      () => `coalesce(${e('text')}, ${e('text')})`,
      () => `${e('int')}::text`,
      () => `left(${e('text')}, 2)`,
      () => `string_agg(${e('text')}, ',')`,
      () => `min(${e('text')})`,
      () => `${row}::text`,
      () => `to_json(${row})::text`,
      () => `(${row}).email`,
      () => `${row}.*::text`,
      () => `email(${row})`,
      () => `(ARRAY[${e('text')}])[1]`,
      () => `jsonb_build_object('a', ${e('text')})::text`,
      () => `(${this.#single('text', scope, 0)} LIMIT 1)`,
      () => `CASE ${e('text')} WHEN ${e('text')} THEN 'x' ELSE 'y' END`,
      () => `nullif(${e('text')}, ${e('text')})`,
      () => `greatest(${e('text')}, ${e('text')})`,
      () => `md5(${e('text')})`,
      () => `json_object('a': ${e('text')})::text`,
      () => `json_array(${e('text')}, ${e('int')})::text`,
      () => `json_arrayagg(${e('text')})::text`,
      () => `xmlforest(${e('text')} AS a)::text`,
      () => `xmlserialize(content xmlelement(name a, ${e('text')}) AS text)`,
      () => `array(${this.#single('text', scope, 0)})::text`,
      () => `(SELECT ${e('text')})`,
      () => `lag(${e('text')}) OVER (ORDER BY 1)`,
      () => `(jsonb_build_object('a', ${e('text')}) ->> 'a')`,
      () => `ROW(${e('text')})::text`,
      () => `(${row}).mail`,
    ])()
  }

  #target(): { sql: string; item: Item } {
    const [name, found] = this.#pick(Object.entries(TABLES).slice(0, 8))
    const alias = this.#chance(50) ? name : this.#pick(ALIASES)
    return { sql: alias === name ? name : `${name} AS ${alias}`, item: { alias, columns: found } }
  }

  #returning(items: readonly Item[]): string {
    if (this.#chance(10))
      return ` RETURNING ${this.#pick(['old.email', 'new.*', 'old', 'old.id, new.email AS x'])}`
    return this.#chance(70) ? ` RETURNING ${this.#outputs(items, items, 0).sql}` : ''
  }

  #assignments(item: Item, scope: readonly Item[]): string {
    return this.#some(2, () => this.#pick(item.columns))
      .map((column) => `${column.name} = ${this.#expression(column.type, scope, 1)}`)
      .join(', ')
  }

  #update(): string {
    const { sql, item } = this.#target()
    const from = this.#chance(30) ? this.#from(1, []) : { sql: '', items: [] }
    const scope = [item, ...from.items]
    const where = ` WHERE ${this.#predicate(scope, 1, 1)}`
    const source = from.sql === '' ? '' : ` FROM ${from.sql}`
    return `UPDATE ${sql} SET ${this.#assignments(item, scope)}${source}${where}${this.#returning(scope)}`
  }

  #merge(): string {
    const { sql, item } = this.#target()
    const source = this.#source(1, [])
    const scope = [item, ...source.items]
    const [column] = item.columns
    const insert = `INSERT (${column?.name}) VALUES (${this.#expression('int', source.items, 1)})`
    const matched = this.#chance(50) ? 'DELETE' : `UPDATE SET ${this.#assignments(item, scope)}`
    return `MERGE INTO ${sql} USING ${source.sql} ON ${this.#predicate(scope, 0, 1)} WHEN MATCHED AND ${this.#predicate(
      scope,
      0,
      0,
    )} THEN ${matched} WHEN NOT MATCHED THEN ${this.#chance(60) ? insert : 'DO NOTHING'}${this.#returning(scope)}`
  }

  #delete(): string {
    const { sql, item } = this.#target()
    const using = this.#chance(30) ? this.#from(1, []) : { sql: '', items: [] }
    const scope = [item, ...using.items]
    const source = using.sql === '' ? '' : ` USING ${using.sql}`
    return `DELETE FROM ${sql}${source} WHERE ${this.#predicate(scope, 1, 1)}${this.#returning(scope)}`
  }

  #insert(): string {
    const { sql, item } = this.#target()
    const wanted = [...new Set(this.#some(3, () => this.#pick(item.columns)))]
    const names = wanted.map((column) => column.name).join(', ')
    const source = this.#chance(50)
      ? `VALUES (${wanted.map((column) => this.#expression(column.type, [], 1)).join(', ')})`
      : this.#wide(wanted)
    const conflict = this.#chance(25)
      ? ` ON CONFLICT (id) DO UPDATE SET ${this.#assignments(item, [item, { ...item, alias: 'excluded' }])}`
      : ''
    return `INSERT INTO ${sql} (${names}) ${source}${conflict}${this.#returning([item])}`
  }

  #wide(wanted: readonly Column[]): string {
    const from = this.#from(1, [])
    return `SELECT ${wanted.map((column) => this.#expression(column.type, from.items, 1)).join(', ')} FROM ${from.sql}`
  }
}
