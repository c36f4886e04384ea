/** What the drivers are asked to do: random, but the same for the same dice. Says nothing of how each of them does it. */

export type Parameter = string | number | null | { readonly hex: string }

export type Operation =
  /** One text, perhaps several statements, without parameters. */
  | { readonly kind: 'simple'; readonly sql: string }
  /** Parameters `$1`, `$2` and so on stand once each and in order. `binary`: results are asked for in binary. */
  | {
      readonly kind: 'query'
      readonly sql: string
      readonly parameters: readonly Parameter[]
      readonly binary: boolean
    }
  | { readonly kind: 'prepared'; readonly sql: string; readonly parameters: readonly Parameter[] }
  /** Fetched by `rows`, through a portal or a cursor. */
  | { readonly kind: 'cursor'; readonly sql: string; readonly rows: number }
  /** `Long`: rows of 70,000 bytes. `Failing`: in the midst of the rows, and at the last one. */
  | { readonly kind: 'copyOut' | 'copyOutLong' | 'copyOutFailing'; readonly sql: string }
  | { readonly kind: 'copyIn' | 'copyInFailing'; readonly sql: string; readonly data: string }
  /** All sent before the first is answered, where the driver can. */
  | { readonly kind: 'pipeline'; readonly each: readonly { sql: string; parameters: readonly Parameter[] }[] }
  | { readonly kind: 'transaction'; readonly statements: readonly string[] }
  /** Prepared and described, never run. */
  | { readonly kind: 'describe'; readonly sql: string }

/** Rows of a result at most, as the gateway is told. */
export const ROWS_MAX = 400

export const SQL = `
CREATE TABLE people (id int PRIMARY KEY, name text, email text, token text);
INSERT INTO people SELECT i, 'person ' || i, 'mark-' || i || '@example.com', 'mark ' || i FROM generate_series(1, 40) i;
`

/** What the server or the gateway says no to. */
export const FAILING = [
  'SELEC 1',
  'SELECT * FROM nowhere',
  'SELECT missing FROM things',
  'SELECT 1/0',
  `SELECT '{"a": ' :: json`,
  "INSERT INTO things (id, name) VALUES (1, 'again')",
  'INSERT INTO scratch VALUES (1, NULL)',
  'DROP TABLE people',
  "SELECT id FROM people WHERE email LIKE 'm%'",
  `SELECT g FROM generate_series(1, ${ROWS_MAX + 1}) AS g`,
  `SELECT g FROM generate_series(1, ${ROWS_MAX * 3}) AS g`,
] as const

export class Operations {
  readonly #random: () => number
  #next = 1000

  constructor(random: () => number) {
    this.#random = random
  }

  make(kind: Operation['kind']): Operation {
    switch (kind) {
      case 'simple':
        return { kind, sql: this.#some(() => this.#text(), 1, 3).join('; ') }
      case 'query':
        return { kind, ...this.#parametrised(), binary: this.#below(2) === 0 }
      case 'prepared':
        return { kind, ...this.#parametrised() }
      case 'cursor':
        return { kind, sql: this.#rows(), rows: 1 + this.#below(20) }
      case 'copyOut':
        return { kind, sql: `COPY ${this.#copied()} TO STDOUT${this.#copyFormat()}` }
      case 'copyOutLong': {
        const rows = "SELECT repeat('z', 70000), email FROM people ORDER BY id LIMIT 2"
        return { kind, sql: `COPY (${rows}) TO STDOUT${this.#copyFormat()}` }
      }
      case 'copyOutFailing':
        return { kind, sql: 'COPY (SELECT g, 10 / (20 - g) FROM generate_series(1, 30) AS g) TO STDOUT' }
      case 'copyIn':
        return { kind, sql: 'COPY scratch FROM STDIN', data: this.#lines() }
      case 'copyInFailing':
        return { kind, sql: 'COPY scratch FROM STDIN', data: `${this.#lines()}no number\tx\n` }
      case 'pipeline':
        return { kind, each: this.#some(() => this.#parametrised(), 2, 6) }
      case 'transaction':
        return { kind, statements: this.#some(() => this.#text(), 1, 4) }
      case 'describe':
        return { kind, sql: this.#parametrised().sql }
    }
  }

  pick<T>(of: readonly [T, ...T[]]): T {
    return of[this.#below(of.length)] ?? of[0]
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  #some<T>(make: () => T, min: number, max: number): T[] {
    return Array.from({ length: min + this.#below(max - min + 1) }, make)
  }

  #text(): string {
    switch (this.#below(8)) {
      case 0:
        return this.#failing()
      case 1:
        return this.#writing()
      case 2:
        return this.pick([
          '',
          'SHOW search_path',
          'EXPLAIN SELECT 1',
          'SELECT * FROM sluice.whoami',
          `SELECT '${'n'.repeat(70)}' AS ${'n'.repeat(70)}`,
          "SELECT E'a\\tb\\x1b[31m\\u009b' AS odd, NULL AS nothing, '' AS empty",
          "SET work_mem = '5MB'",
        ])
      default:
        return this.#rows()
    }
  }

  #rows(): string {
    const few = 1 + this.#below(60)
    return this.pick([
      `SELECT g, g * 1.5 AS part, 'word ' || g AS word, NULL AS nothing FROM generate_series(1, ${few}) AS g`,
      'SELECT * FROM types ORDER BY id',
      `SELECT id, email, token FROM people WHERE id <= ${few} ORDER BY id`,
      `SELECT email FROM people ORDER BY id LIMIT ${few}`,
      `SELECT id, repeat('x', ${this.pick([10, 5_000, 70_000])}) AS long, email FROM people ORDER BY id LIMIT 2`,
      `SELECT t.name, p.id FROM things t LEFT JOIN parts p ON p.thing_id = t.id ORDER BY 1, 2`,
      `SELECT 1 AS one WHERE false`,
      `SELECT g FROM generate_series(1, ${ROWS_MAX - this.#below(100)}) AS g`,
    ])
  }

  #writing(): string {
    const id = this.#next++
    return this.pick([
      `INSERT INTO scratch VALUES (${id}, 'note ${id}')`,
      `INSERT INTO numbered (note) VALUES ('n') RETURNING note`,
      `UPDATE scratch SET note = 'changed' WHERE id < ${id}`,
      `DELETE FROM scratch WHERE id < ${id - 5}`,
    ])
  }

  #failing(): string {
    return this.pick([
      `SELECT 10 / (${5 + this.#below(40)} - g) FROM generate_series(1, 50) AS g`,
      ...FAILING,
    ])
  }

  #parametrised(): { readonly sql: string; readonly parameters: readonly Parameter[] } {
    if (this.#below(4) === 0) return { sql: this.#text(), parameters: [] }
    const number = this.#below(50)
    const hex = Buffer.from(Array.from({ length: this.#below(40) }, () => this.#below(256))).toString('hex')
    return this.pick<{ sql: string; parameters: readonly Parameter[] }>([
      { sql: 'SELECT id, email FROM people WHERE id <= $1::int ORDER BY id', parameters: [number] },
      {
        sql: 'SELECT $1::int8 AS number, $2::text AS word, $3::bytea AS bytes, $4::text AS nothing',
        parameters: [number, "it's \\ ü 🎈", { hex }, null],
      },
      { sql: 'SELECT length($1::bytea)', parameters: [{ hex }] },
      { sql: 'SELECT * FROM types WHERE id = $1::int', parameters: [1 + (number % 2)] },
      { sql: 'SELECT $1::text::int', parameters: [this.pick(['12', 'no number'])] },
      { sql: 'SELECT 10 / $1::int', parameters: [this.pick([0, 3])] },
      { sql: 'SELECT name FROM things WHERE id = $1::text::int', parameters: ['1'] },
      {
        sql: 'INSERT INTO scratch VALUES ($1::int, $2::text) RETURNING *',
        parameters: [this.#next++, this.pick<Parameter>(['noted', null])],
      },
      { sql: 'SELECT id FROM people WHERE email LIKE $1::text', parameters: ['m%'] },
      { sql: 'SELECT nothing FROM nowhere WHERE x = $1::int', parameters: [1] },
      { sql: 'SELECT * FROM sluice.whoami', parameters: [] },
    ])
  }

  #copied(): string {
    return this.pick([
      '(SELECT id, name, email FROM people ORDER BY id)',
      'people (id, email, token)',
      'types',
      '(SELECT 1 WHERE false)',
      'nowhere',
    ])
  }

  #copyFormat(): string {
    return this.pick(['', ' (FORMAT csv, HEADER)', ' (FORMAT binary)'])
  }

  #lines(): string {
    const lines = Array.from({ length: this.#below(200) }, () => `${this.#next++}\tline\\twith ü\n`)
    return lines.join('')
  }
}
