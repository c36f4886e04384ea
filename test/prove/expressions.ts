/**
 * Random expressions of a wanted type over what is in scope, of every kind that the grammar has: so typed that the
 * server takes most of them. `touched` tells whether anything protected was named on the way.
 */
import type { Decks } from './rare.ts'
import { GROUPED, RARE } from './rare.ts'
import type { Column, Dice, Type } from './schemas.ts'

export type Item = {
  readonly alias: string
  readonly columns: readonly Column[]
  readonly tainted: boolean
  /** There are protected columns that are not among these: the whole row holds them all the same. */
  readonly hides?: boolean
}

export type Context = {
  readonly items: readonly Item[]
  /** Keys of GROUP BY: outside aggregates nothing else may stand. */
  readonly keys?: readonly { readonly type: Type; readonly sql: string }[]
  readonly windows?: boolean
  readonly depth: number
}

export type Built = { readonly sql: string; readonly columns: readonly Column[] }

const ORDERED: readonly Type[] = [
  'text', 'int', 'bigint', 'numeric', 'float8', 'date', 'timestamp', 'dtext', 'inet', 'text[]', 'int[]',
] // biome-ignore format: a list
const COMPARABLE: readonly Type[] = [...ORDERED, 'bool', 'jsonb', 'uuid', 'bytea', 'int8range', 'pair']

/** Places that every other statement has. */
const OFTEN: ReadonlySet<string> = new Set(['output', 'where', 'on', 'from', 'values'])

export abstract class Expressions {
  protected readonly dice: Dice
  readonly #decks: Decks
  touched = false

  constructor(dice: Dice, decks: Decks) {
    this.dice = dice
    this.#decks = decks
  }

  /** A query with one column of this type, for subqueries; `outer` may be referred to. */
  protected abstract scalar(type: Type, context: Context): string

  any(context: Context): { sql: string; type: Type } {
    const { dice } = this
    // What is in scope more often than what is not.
    const columns = context.items.flatMap(({ columns }) => columns)
    const type =
      columns.length > 0 && dice.chance(75)
        ? dice.pick(columns).type
        : dice.pick([
            'text',
            'int',
            'bool',
            'jsonb',
            'text[]',
            'numeric',
            'date',
            'bytea',
            'json',
            'pair',
            'xml',
          ] as const)
    if (type === 'xml') return { sql: `(${this.xml(this.#deeper(context))})`, type: 'text' }
    return { sql: this.of(type, context), type }
  }

  /**
   * The expression that a clause consists of: now and then one of every kind in turn, and more often where few come by.
   */
  root(type: Type, context: Context, place: string): string {
    if (!this.dice.chance(OFTEN.has(place) ? 25 : 70)) return this.of(type, context)
    const inner = { ...context, depth: Math.min(1, context.depth) }
    const kinds = context.keys === undefined ? RARE : GROUPED
    const condition = this.#decks.draw(
      place,
      kinds,
      this.dice,
    )({
      of: (wanted) => this.of(wanted, { ...inner, depth: 0 }),
      scalar: (wanted) => this.scalar(wanted, inner),
      literal: (wanted) => this.literal(wanted),
      key: context.keys?.[0]?.sql,
    })
    if (type === 'bool') return `(${condition})`
    return `CASE WHEN ${condition} THEN ${this.of(type, inner)} ELSE ${this.leaf(type, inner)} END`
  }

  of(type: Type, context: Context): string {
    if (context.depth <= 0 || this.dice.chance(35)) return this.leaf(type, context)
    if (this.dice.chance(30)) return this.#generic(type, this.#deeper(context))
    return this.#special(type, this.#deeper(context))
  }

  #deeper(context: Context): Context {
    return { ...context, depth: context.depth - 1 }
  }

  leaf(type: Type, context: Context): string {
    if (context.keys !== undefined) {
      const keys = context.keys.filter((key) => key.type === type)
      if (keys.length > 0 && this.dice.chance(50)) return this.dice.pick(keys).sql
      return this.dice.chance(80) ? this.aggregate(type, context) : this.literal(type)
    }
    return this.dice.chance(90)
      ? (this.column(type, context) ?? this.#converted(type, context))
      : this.literal(type)
  }

  column(type: Type, { items }: Context): string | undefined {
    const fitting = items.flatMap((item) =>
      item.columns
        .filter((column) => column.type === type || (type === 'text' && column.type === 'dtext'))
        .map((column) => ({ item, column })),
    )
    if (fitting.length === 0) return undefined
    // What is protected more often: it is what this is about.
    const dear = fitting.filter((each) => each.column.labelled)
    const { item, column } = this.dice.pick(dear.length > 0 && this.dice.chance(60) ? dear : fitting)
    if (column.labelled || item.tainted) this.touched = true
    return `${item.alias}."${column.name}"`
  }

  /** Some column of another type, made into this one so that it does not fail. */
  #converted(type: Type, context: Context): string {
    const columns = context.items.flatMap((item) => item.columns)
    if (columns.length === 0 || !this.dice.chance(70)) return this.literal(type)
    const found = this.column(this.dice.pick(columns).type, context) ?? this.literal('text')
    switch (type) {
      case 'text':
      case 'dtext':
        return `${found}::${type === 'text' ? 'text' : 'text::dtext'}`
      case 'int':
        return `length(${found}::text)`
      case 'bool':
        return `(${found} IS NOT NULL)`
      case 'json':
      case 'jsonb':
        return `to_${type}(${found})`
      case 'numeric':
      case 'float8':
      case 'bigint':
        return `length(${found}::text)::${type}`
      case 'text[]':
        return `ARRAY[${found}::text]`
      case 'pair':
        return `ROW(${found}::text, 1)::pair`
      case 'bytea':
        return `convert_to(${found}::text, 'UTF8')`
      default:
        return this.dice.chance(3) ? `${found}::text::${type}` : this.literal(type)
    }
  }

  row(context: Context): string | undefined {
    const whole = context.items.filter(({ columns, hides }) => columns.length > 0 && hides !== true)
    if (whole.length === 0 || context.keys !== undefined) return undefined
    const item = this.dice.pick(whole)
    if (item.tainted || item.columns.some(({ labelled }) => labelled)) this.touched = true
    return item.alias
  }

  literal(type: Type): string {
    const { dice } = this
    switch (type) {
      case 'text':
        return dice.pick([
          "'a'::text",
          "text 'red'",
          "E'x\\ty'::text",
          'CURRENT_USER::text',
          "''::text",
          'NULL::text',
          '$$b$$::text',
          "U&'\\0061'::text",
        ])
      case 'int':
        return String(dice.below(5))
      case 'bool':
        return dice.pick(['true', 'false', 'NULL::bool'])
      case 'date':
        return dice.pick(["DATE '2020-01-02'", "'2020-01-03'::date"])
      case 'timestamp':
        return dice.pick(["'2020-01-03 10:00'::timestamp", "'2020-01-03'::timestamp(0)"])
      case 'json':
      case 'jsonb':
        return `'{"k": "a", "n": 1, "list": ["b"]}'::${type}`
      case 'uuid':
        return "'00000000-0000-4000-8000-000000000001'::uuid"
      case 'bytea':
        return "'\\x6162'::bytea"
      case 'text[]':
        return "ARRAY['a', 'b']"
      case 'int[]':
        return "'{1,2}'::int[]"
      case 'pair':
        return "ROW('a', 1)::pair"
      case 'inet':
        return "'10.0.0.1'::inet"
      case 'int8range':
        return "'[1,4)'::int8range"
      case 'dtext':
        return "'a'::dtext"
      default:
        return `${dice.below(5)}::${type}`
    }
  }

  /** An aggregate of this type; what is under it stands in no group. */
  aggregate(type: Type, context: Context): string {
    const { keys: _, windows: __, ...rest } = context
    const plain = { ...rest, depth: Math.min(rest.depth, 1) }
    const { dice } = this
    const filter = () => (dice.chance(20) ? ` FILTER (WHERE ${this.root('bool', plain, 'filter')})` : '')
    const of = (wanted: Type) => this.of(wanted, plain)
    const order = () => (dice.chance(30) ? ` ORDER BY ${this.orderable(plain, 'aggregate order')}` : '')
    const distinct = () => (dice.chance(15) ? 'DISTINCT ' : '')
    const choices: (() => string)[] = [() => `(array_agg(${of(type)}${order()})${filter()})[1]`]
    if (type !== 'json') choices.push(() => `any_value(${of(type)})${filter()}`)
    if (ORDERED.includes(type)) {
      choices.push(() => `${dice.pick(['min', 'max'])}(${of(type)})${filter()}`)
      choices.push(
        () =>
          `${dice.pick(['mode() ', 'percentile_disc(0.5) '])}WITHIN GROUP (ORDER BY ${of(type)})${filter()}`,
      )
    }
    if (type === 'text') {
      choices.push(
        () =>
          `string_agg(${of('text')}, ',' ORDER BY ${this.orderable(plain, 'aggregate order')})${filter()}`,
      )
      choices.push(() => `string_agg(${distinct()}${of('text')}, ',')${filter()}`)
    }
    if (type === 'int')
      choices.push(
        () => 'count(*)::int',
        () => `count(${distinct()}${of(dice.pick(COMPARABLE))})${filter()}::int`,
        () => ((context.keys?.length ?? 0) > 0 ? `grouping(${context.keys?.[0]?.sql})` : 'count(*)::int'),
      )
    if (type === 'bigint')
      choices.push(
        () => `sum(${of('int')})${filter()}`,
        () => `bit_or(${of('bigint')})`,
      )
    if (type === 'numeric')
      choices.push(
        () => `sum(${of('numeric')})${filter()}`,
        () => `avg(${of('int')})`,
      )
    if (type === 'float8')
      choices.push(
        () => `avg(${of('float8')})`,
        () => `stddev(${of('float8')})`,
      )
    if (type === 'bool') choices.push(() => `${dice.pick(['bool_and', 'bool_or', 'every'])}(${of('bool')})`)
    if (type === 'text[]')
      choices.push(
        () => `array_agg(${distinct()}${of('text')})`,
        () => `array_agg(${of('text')}${order()})${filter()}`,
      )
    if (type === 'json')
      choices.push(
        () => `json_agg(${this.row(plain) ?? of('text')}${order()})`,
        () => `JSON_OBJECTAGG('k' || (${of('int')}) : ${of('text')} ABSENT ON NULL)`,
        () => `JSON_ARRAYAGG(${of('text')}${order()})${filter()}`,
      )
    if (type === 'jsonb')
      choices.push(
        () => `jsonb_agg(${this.row(plain) ?? of('jsonb')})`,
        () => `jsonb_object_agg('k' || (${of('int')}), ${of('text')})`,
        () => `JSON_ARRAYAGG(${of('text')} RETURNING jsonb)`,
      )
    return dice.pick(choices)()
  }

  orderable(context: Context, place = 'order'): string {
    return `${this.root(this.dice.pick(ORDERED), context, place)}${this.dice.pick(['', ' DESC', ' NULLS FIRST', ' USING <'])}`
  }

  window(type: Type, context: Context): string {
    const { dice } = this
    const { windows: _, ...inner } = context
    const of = (wanted: Type) => this.of(wanted, inner)
    const over = () =>
      dice.chance(20)
        ? 'OVER w'
        : `OVER (${dice.chance(40) ? `PARTITION BY ${this.root(dice.pick(ORDERED), inner, 'window')} ` : ''}${
            dice.chance(60) ? `ORDER BY ${this.orderable(inner, 'window')}` : ''
          }${dice.chance(20) ? ' ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW' : ''})`
    if (type === 'int' && dice.chance(50))
      return dice.pick([
        () => `row_number() ${over()}::int`,
        () => `(rank() ${over()})::int`,
        () => `ntile(2) ${over()}`,
      ])()
    if (type === 'text' && dice.chance(30)) return `string_agg(${of('text')}, ',') ${over()}`
    return dice.pick([
      () => `first_value(${of(type)}) ${over()}`,
      () => `lag(${of(type)}) ${over()}`,
      () => `nth_value(${of(type)}, 1) ${over()}`,
      () => `(array_agg(${of(type)}) ${over()})[1]`,
    ])()
  }

  xml(context: Context): string {
    const of = (type: Type) => this.of(type, context)
    return this.dice.pick([
      () => `xmlelement(name a, xmlattributes(${of('text')} AS b), ${of('text')})::text`,
      () => `xmlforest(${of('text')} AS f, ${of('int')} AS g)::text`,
      () => `xmlserialize(content xmlconcat(xmlelement(name x, ${of('text')}), xmlpi(name p, 'q')) AS text)`,
      () => `xmlparse(content ${of('text')})::text`,
      () => `(xmlparse(content ${of('text')}) IS DOCUMENT)::text`,
    ])()
  }

  #generic(type: Type, context: Context): string {
    const { dice } = this
    const of = (wanted: Type) => this.of(wanted, context)
    const choices: (() => string)[] = [
      () => `CASE WHEN ${of('bool')} THEN ${of(type)} ELSE ${of(type)} END`,
      () => `coalesce(${of(type)}, ${of(type)})`,
      () => `(ARRAY[${of(type)}, ${of(type)}])[${dice.pick(['1', '2', of('int')])}]`,
      () => `(${this.scalar(type, context)})`,
      () => `(${this.scalar(type, context)})`,
      () => `CAST(${of(type)} AS ${type})`,
      () => `(${of(type)})`,
    ]
    if (COMPARABLE.includes(type))
      choices.push(
        () => `nullif(${of(type)}, ${of(type)})`,
        () => `CASE ${of(type)} WHEN ${of(type)} THEN ${of(type)} END`,
      )
    if (ORDERED.includes(type))
      choices.push(() => `${dice.pick(['greatest', 'least'])}(${of(type)}, ${of(type)})`)
    if (context.windows === true && type !== 'json')
      choices.push(
        () => this.window(type, context),
        () => this.window(type, context),
      )
    return dice.pick(choices)()
  }

  #special(type: Type, context: Context): string {
    const { dice } = this
    const of = (wanted: Type) => this.of(wanted, context)
    const any = () => this.any(context).sql
    const value = () => this.row(context) ?? any()
    const pick = (...choices: (() => string)[]) => dice.pick(choices)()
    switch (type) {
      case 'text':
      case 'dtext':
        return pick(
          () =>
            `${dice.pick(['upper', 'lower', 'initcap', 'reverse', 'quote_literal', 'quote_ident', 'md5', 'trim', 'btrim'])}(${of('text')})`,
          () => `(${of('text')} || ${of('text')})`,
          () =>
            `${dice.pick(['substr', 'left', 'right', 'repeat', 'split_part'].slice(0, 4))}(${of('text')}, ${1 + dice.below(3)})`,
          () => `substring(${of('text')} FROM 1 FOR 9)`,
          () => `overlay(${of('text')} PLACING 'x' FROM 1)`,
          () => `translate(${of('text')}, 'a', 'b')`,
          () => `regexp_replace(${of('text')}, 'a', 'b')`,
          () => `concat(${any()}, ${of('text')})`,
          () => `concat_ws('-', VARIADIC ARRAY[${of('text')}, ${of('text')}])`,
          () => `format('%s %L', ${of('text')}, ${any()})`,
          () => `encode(convert_to(${of('text')}, 'UTF8'), '${dice.pick(['hex', 'base64', 'escape'])}')`,
          () => `${any()}::text`,
          () => `(${of('text')}) COLLATE "C"`,
          () => `((${of('jsonb')}) ->> 'k')`,
          () => `((${of('json')}) #>> '{list,0}')`,
          () => `JSON_VALUE(${of('jsonb')}, '$.k')`,
          () => `JSON_SERIALIZE(${of('json')} RETURNING text)`,
          () => `array_to_string(${of('text[]')}, ',')`,
          () => `(${of('pair')}).a`,
          () => `${value()}::text`,
          () =>
            `to_char(${of(dice.pick(['int', 'numeric', 'timestamp'] as const))}, '${dice.pick(['FM999999999999', 'YYYY'])}')`,
          () => `host(${of('inet')})`,
          () => `overlay(placing 'x' from 1 for 0)`.replace('overlay(', `overlay(${of('text')} `),
        )
      case 'int':
        return pick(
          () => `length(${of('text')})`,
          () => `ascii(${of('text')})`,
          () => `(${of('int')} ${dice.pick(['+', '-', '*', '/', '%', '#'])} ${of('int')})`,
          () => `(- ${of('int')})`,
          () => `abs(${of('int')})`,
          () => `position('a' IN ${of('text')})`,
          () => `(EXTRACT(year FROM ${of('date')}))::int`,
          () => `cardinality(${of('text[]')})`,
          () => `(${of('int[]')})[1]`,
          () => `(${of('pair')}).n`,
          () => `(${of('text')})::int`,
          () => `((${of('jsonb')}) ->> 'n')::int`,
          () => `JSON_VALUE(${of('jsonb')}, '$.n' RETURNING int DEFAULT 0 ON ERROR)`,
          () => `make_date(year => 2000, month => 1, day => ${1 + dice.below(9)}) - DATE '1999-01-01'`,
        )
      case 'bool':
        return this.#predicate(context)
      case 'jsonb':
      case 'json':
        return pick(
          () => `${type}_build_object('k', ${any()}, 'n', ${of('int')})`,
          () => `to_${type}(${value()})`,
          () => `JSON_OBJECT('k': ${any()}, 'n' VALUE ${of('int')} RETURNING ${type})`,
          () => `JSON_ARRAY(${any()}, ${of('text')} NULL ON NULL RETURNING ${type})`,
          () => `JSON_ARRAY(${this.scalar('text', context)} RETURNING ${type})`,
          () => `JSON_QUERY(${of('jsonb')}, '$.list')::${type}`,
          () => `JSON(${of('text')})::${type}`,
          () => `JSON_SCALAR(${of('text')})::${type}`,
          () => `((${of(type)}) -> 'list')`,
          () =>
            type === 'jsonb' ? `jsonb_set(${of('jsonb')}, '{k}', ${of('jsonb')})` : `row_to_json(${value()})`,
          () => (type === 'jsonb' ? `(${of('jsonb')})['list']` : `json_build_array(${any()}, ${any()})`),
        )
      case 'text[]':
        return pick(
          () => `ARRAY[${of('text')}, ${of('text')}]`,
          () => `ARRAY(${this.scalar('text', context)})`,
          () => `string_to_array(${of('text')}, 'z')`,
          () => `regexp_match(${of('text')}, '(.)(.*)')`,
          () => `(${of('text[]')} || ${of('text[]')})`,
          () => `(${of('text[]')})[1:2]`,
          () => `array_remove(${of('text[]')}, 'a')`,
        )
      case 'numeric':
        return pick(
          () => `(${of('numeric')} + ${of('int')})`,
          () => `round(${of('numeric')}, 1)`,
          () => `(${of('int')}::numeric / ${of('int')})`,
        )
      case 'bigint':
        return pick(
          () => `(${of('bigint')} + 1)`,
          () => `lower(${of('int8range')})`,
          () => `(${of('int')})::bigint`,
        )
      case 'date':
        return pick(
          () => `(${of('date')} + ${of('int')})`,
          () => `(${of('timestamp')})::date`,
          () => "LEAST(CURRENT_DATE, DATE '2020-02-02')",
        )
      case 'timestamp':
        return pick(
          () => `date_trunc('day', ${of('timestamp')})`,
          () => `(${of('date')})::timestamp`,
          () => `(${of('timestamp')} AT TIME ZONE 'UTC')::timestamp`,
        )
      case 'bytea':
        return pick(
          () => `convert_to(${of('text')}, 'UTF8')`,
          () => `decode(encode(${of('bytea')}, 'hex'), 'hex')`,
          () => `sha256(${of('bytea')})`,
        )
      case 'pair':
        return pick(
          () => `ROW(${of('text')}, ${of('int')})::pair`,
          () => `(${of('text')}, ${of('int')})::pair`,
        )
      case 'int8range':
        return pick(
          () => `int8range(0, abs(${of('bigint')}))`,
          () => `(${of('int8range')} * ${of('int8range')})`,
        )
      case 'float8':
        return pick(
          () => `sqrt(abs(${of('float8')}))`,
          () => `(${of('numeric')})::float8`,
        )
      case 'int[]':
        return pick(
          () => `ARRAY[${of('int')}, ${of('int')}]`,
          () => `(${of('int[]')} || ${of('int')})`,
        )
      case 'uuid':
      case 'inet':
        return `(${of(type)})::text::${type}`
    }
  }

  #predicate(context: Context): string {
    const { dice } = this
    const of = (wanted: Type) => this.of(wanted, context)
    const ordered = dice.pick(ORDERED)
    const equal = dice.pick(COMPARABLE)
    const operator = dice.pick(['=', '<>', '<', '>=', '>', 'OPERATOR(pg_catalog.=)'])
    return dice.pick([
      () => `${of(ordered)} ${operator} ${of(ordered)}`,
      () => `${of('text')} = ${this.literal('text')}`,
      () => `lower(${of('text')}) = lower('A')`,
      () => `(${of('bool')} ${dice.pick(['AND', 'OR'])} ${of('bool')})`,
      () => `(NOT ${of('bool')})`,
      () => `${this.any(context).sql} IS ${dice.pick(['', 'NOT '])}NULL`,
      () => `(${of('bool')}) IS ${dice.pick(['TRUE', 'NOT TRUE', 'FALSE', 'UNKNOWN'])}`,
      () =>
        `${of('text')} ${dice.pick(['LIKE', 'ILIKE', 'NOT LIKE', '~', '~*', '!~', 'SIMILAR TO', '^@'])} 'a%'`,
      () =>
        `${of(ordered)} ${dice.pick(['BETWEEN', 'NOT BETWEEN', 'BETWEEN SYMMETRIC'])} ${of(ordered)} AND ${of(ordered)}`,
      () => `${of(equal)} ${dice.pick(['IN', 'NOT IN'])} (${of(equal)}, ${this.literal(equal)})`,
      () => `${of(equal)} ${dice.pick(['IN', 'NOT IN'])} (${this.scalar(equal, context)})`,
      () => `${of('text')} = ANY (${of('text[]')})`,
      () => `${of('int')} ${operator} ALL (${of('int[]')})`,
      () => `${of(ordered)} >= ${dice.pick(['ANY', 'ALL'])} (${this.scalar(ordered, context)})`,
      () => `EXISTS (${this.scalar('int', context)})`,
      () => `${of(equal)} IS ${dice.pick(['', 'NOT '])}DISTINCT FROM ${of(equal)}`,
      () => `(${of('text')}, ${of('int')}) ${dice.pick(['=', '<', '>='])} (${of('text')}, ${of('int')})`,
      () => `ROW(${of('int')}, ${of('text')}) IN (SELECT 1, ${this.literal('text')})`,
      () => `JSON_EXISTS(${of('jsonb')}, '$.k ? (@ == "a")')`,
      () => `(${of('text')}) IS ${dice.pick(['', 'NOT '])}JSON`,
      () => `(${of('jsonb')}) @> ${of('jsonb')}`,
      () => `(${of('jsonb')}) ? 'k'`,
      () => `(${of('text[]')}) && (${of('text[]')})`,
      () => `(${of('date')}, DATE '2021-01-01') OVERLAPS (${of('date')}, DATE '2022-01-01')`,
      () => `starts_with(${of('text')}, 'a')`,
    ])()
  }
}
