import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayError, LIMITS } from '../../core/index.ts'
import { analyse } from '../analyse.ts'
import type { ParserInstance } from './instance.ts'
import { loadParserInstance } from './instance.ts'
import type { Parser } from './parser.ts'
import { createParser } from './parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

const CONTEXT = { searchPath: ['public'] }

describe('short texts', () => {
  it('are parsed at once', () => {
    expect(parser.parse('SELECT 1; SELECT 2')).toMatchObject({
      kind: 'parsed',
      tree: { stmts: [{ stmt: { SelectStmt: {} } }, { stmt: { SelectStmt: {} } }] },
    })
  })

  it.each(['', ' ', ';', ' ;; ', '-- only a comment', '/* and /* another */ */'])(
    'may hold no statement: %j',
    (text) => {
      expect(parser.parse(text)).toMatchObject({ kind: 'parsed', tree: { stmts: [] } })
    },
  )

  it.each([
    ['selec 1', 1],
    ['SELECT 1 FROM', undefined],
    ["SELECT 'é' x y z", 14],
    ["/* 日本 */ SELECT '🙂' x y z", 23],
    ["SELECT 'abc", 8],
    ["SELECT U&'\\zz'", 11],
    ["SELECT E'\\400'", undefined],
  ])('that are wrong say where, in characters: %j', (text, position) => {
    const result = parser.parse(text)
    expect(result).toMatchObject({ kind: 'unparsed' })
    if (position !== undefined) expect(result).toMatchObject({ position })
  })

  it('with a NUL byte do not parse, though the grammar would stop reading there', () => {
    expect(parser.parse('SELECT 1\0; DROP TABLE t')).toMatchObject({ kind: 'unparsed' })
  })

  it('with half a character do not parse', () => {
    expect(parser.parse("SELECT '\ud800'")).toMatchObject({ kind: 'unparsed' })
  })

  it('of any nesting that fits leave the parser whole', () => {
    for (const [open, close] of [
      ['(', ')'],
      ['(SELECT ', ')'],
      ['NOT ', ''],
      ['- ', ''],
      ['1+', '1'],
      ['ARRAY[', ']'],
      ['f(', ')'],
      ['CASE WHEN ', ' THEN 1 END'],
    ] as const) {
      const times = Math.floor((LIMITS.statementInlineBytesMax - 10) / (open.length + close.length))
      const text = `SELECT ${open.repeat(times)}1${close.repeat(times)}`
      expect(text.length).toBeLessThanOrEqual(LIMITS.statementInlineBytesMax)
      const parsed = parser.parse(text)
      if (parsed instanceof Promise) throw new Error('short texts are parsed inline')
      expect(analyse(parsed, CONTEXT).class).toMatch(/read|opaque/)
    }
    expect(parser.parse('SELECT 1')).toMatchObject({ kind: 'parsed' })
  })
})

describe('long texts', () => {
  it('are parsed by the worker, with the same facts', async () => {
    const padding = '/* padding */ '.repeat(300)
    const text = "INSERT INTO public.t (a, b) SELECT lower(x), 'y' FROM s WHERE id IN (1, 2, 3) RETURNING a"
    const long = parser.parse(padding + text)
    expect(long).toBeInstanceOf(Promise)
    expect(analyse(await long, CONTEXT)).toEqual(analyse(await parser.parse(text), CONTEXT))
  })

  it('with many alike rows are small to look through', async () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => `(${i}, 'name ${i}', lower('X'), NULL)`)
    const parsed = await parser.parse(`INSERT INTO t (a, b, c, d) VALUES ${rows.join(', ')}`)
    expect(parsed.kind).toBe('parsed')
    expect(JSON.stringify(parsed).length).toBeLessThan(2_000)
    expect(analyse(parsed, CONTEXT)).toMatchObject({ class: 'write', writes: ['t'], calls: ['lower'] })
  })

  it('keep every row that is different', async () => {
    const rows = [
      ...Array.from({ length: 500 }, (_, i) => `(${i})`),
      "(nextval('s'))",
      '((SELECT x FROM secrets))',
    ]
    const parsed = await parser.parse(`INSERT INTO t (a) VALUES ${rows.join(', ')}`)
    expect(analyse(parsed, CONTEXT)).toMatchObject({ reads: ['secrets'], calls: ['nextval'] })
  })

  it('keep an element of a list that is no constant', async () => {
    const list = Array.from({ length: 1_000 }, (_, i) => `${i}`)
    const parsed = await parser.parse(`SELECT 1 FROM t WHERE id IN (${list.join(', ')}, f(5), 7)`)
    expect(analyse(parsed, CONTEXT)).toMatchObject({ calls: ['f'], class: 'opaque' })
  })

  it('that are wrong say where', async () => {
    const text = `${'-- padding\n'.repeat(300)}SELECT 1 FROM FROM`
    expect(await parser.parse(text)).toMatchObject({
      kind: 'unparsed',
      position: text.lastIndexOf('FROM') + 1,
    })
  })

  it('that nest too deeply are opaque', async () => {
    const parsed = await parser.parse(`SELECT ${'1+'.repeat(5_000)}1`)
    expect(parsed).toMatchObject({ kind: 'unjudged' })
    expect(analyse(parsed, CONTEXT)).toMatchObject({ class: 'opaque', redefines: true })
  })

  it('that have too many different parts are opaque', async () => {
    const columns = Array.from({ length: 20_000 }, (_, i) => `f${i}(c${i})`)
    expect(await parser.parse(`SELECT ${columns.join(', ')}`)).toMatchObject({ kind: 'unjudged' })
  })

  it('over the limit are not parsed at all', () => {
    const text = `SELECT '${'x'.repeat(LIMITS.statementBytesMax)}'`
    expect(() => parser.parse(text)).toThrow(expect.objectContaining({ code: 'limit_exceeded' }))
  })

  it('that break the parser are refused, and the next one is served', async () => {
    const deadly = `SELECT ${'1+'.repeat(400_000)}1`
    const [broken, next] = await Promise.allSettled([
      parser.parse(deadly),
      parser.parse(`SELECT 1 ${' '.repeat(3_000)}`),
    ])
    expect(broken).toMatchObject({ status: 'rejected', reason: { code: 'limit_exceeded' } })
    expect(next).toMatchObject({ status: 'fulfilled', value: { kind: 'parsed' } })
  })

  it('that wait when the parser is closed are refused', async () => {
    const closing = await createParser()
    const waiting = Promise.allSettled([
      closing.parse(`SELECT 1 ${' '.repeat(3_000)}`),
      closing.parse(`SELECT 2 ${' '.repeat(3_000)}`),
    ])
    await closing.close()
    for (const each of await waiting)
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'limit_exceeded' } })
    expect(() => closing.parse(`SELECT 3 ${' '.repeat(3_000)}`)).toThrow(GatewayError)
  })

  it('more than may wait are refused', async () => {
    const flooded = await createParser()
    const long = `SELECT 1 ${' '.repeat(3_000)}`
    const accepted: unknown[] = []
    const flood = () => {
      for (let i = 0; i < LIMITS.parsesWaitingMax + 10; i++) accepted.push(flooded.parse(long))
    }
    expect(flood).toThrow(expect.objectContaining({ code: 'limit_exceeded', retry: 'later' }))
    const settled = Promise.allSettled(accepted)
    await flooded.close()
    await settled
  })
})

describe('an instance that failed', () => {
  const dead: ParserInstance = {
    parse: () => {
      throw new RangeError('Maximum call stack size exceeded')
    },
    scan: () => {
      throw new RangeError('Maximum call stack size exceeded')
    },
  }

  it('is thrown away: its statement is refused, the next one parsed by another', async () => {
    const instances = [dead, await loadParserInstance()]
    const own = await createParser(async () => instances.shift() ?? loadParserInstance())
    expect(() => own.parse('SELECT 1')).toThrow(expect.objectContaining({ code: 'limit_exceeded' }))
    expect(own.parse('SELECT 1')).toMatchObject({ kind: 'parsed' })
    await own.close()
  })

  it('and whose spare fails too leaves every statement refused until there is a sound one', async () => {
    const instances = [dead, dead]
    const own = await createParser(async () => instances.shift() ?? loadParserInstance())
    expect(() => own.parse('SELECT 1')).toThrow(GatewayError)
    expect(() => own.parse('SELECT 1')).toThrow(GatewayError)
    expect(() => own.parse('SELECT 1')).toThrow(GatewayError)
    await expect.poll(() => own.parse('SELECT 1')).toMatchObject({ kind: 'parsed' })
    await own.close()
  })
})
