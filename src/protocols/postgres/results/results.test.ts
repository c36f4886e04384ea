import { describe, expect, it } from 'vitest'
import type { Facts, LabelName, MaskingRule, Output } from '../../../core/index.ts'
import { brand, MaskingKey } from '../../../core/index.ts'
import { maskedCell, OTHER } from '../../../session/index.ts'
import type { FieldDescription } from '../../../wire/postgres/index.ts'
import { builtinType, typeLookup } from './result-types.ts'
import type { ResultPlan } from './results.ts'
import { fit, maskOf, planResults, tighten } from './results.ts'

const email = brand<LabelName>('pii.email')
const birth = brand<LabelName>('pii.birth')
const MASKS = new Map<LabelName, MaskingRule>([
  [email, { kind: 'partial', of: 'email' }],
  [birth, { kind: 'year' }],
])
const TEXT = 25
const DATE = 1082

const FACTS: Facts = {
  class: 'read',
  statements: [],
  reads: [],
  writes: [],
  calls: [],
  labels: [],
  touches: [],
  filters: [],
  stores: [],
  unbounded: false,
  writesEverything: false,
  redefines: false,
  attributes: {},
}

function planOf(...outputs: Output[]): ResultPlan {
  const facts: Facts = { ...FACTS, statements: [{ class: 'read', outputs }] }
  const [plan] = planResults(facts, MASKS)
  if (plan === undefined) throw new Error('outputs make a plan')
  return plan
}

function field(typeOid: number, tableOid = 0, attnum = 0): FieldDescription {
  return { name: 'c', tableOid, attnum, typeOid, typlen: -1, typmod: -1, format: 0 }
}

const shown = (plan: ResultPlan, value: string | Buffer, column = 0) => {
  const masker = plan.columns[column]
  if (masker === undefined) return 'clear'
  return maskedCell(masker, Buffer.from(value))?.toString() ?? null
}
const never = () => false

const copied = (label: LabelName, type: number): Output => ({
  name: 'c',
  labels: [label],
  type,
  source: { relation: 7, attribute: 2, type },
})
const computed: Output = { name: 'c', labels: [email], computed: true }

describe('values among which there are some of the client', () => {
  const key = new MaskingKey('pii.email', Buffer.alloc(32, 1), Buffer.alloc(32, 2))
  const hash: MaskingRule = { kind: 'hash', prefix: 'h_', key }
  const alone = copied(email, TEXT)
  const mixed: Output = { ...alone, mixed: true }

  it.each([hash, { kind: 'pseudonym', of: 'email', key } satisfies MaskingRule])(
    'are hidden whole where a key makes the mask',
    (rule) => {
      const masks = new Map([[email, rule]])
      expect(maskOf(alone, masks)).toEqual(rule)
      expect(maskOf(mixed, masks)).toEqual({ kind: 'full' })
    },
  )

  it('are masked as anybody could mask them otherwise', () => {
    expect(maskOf(mixed, MASKS)).toEqual(MASKS.get(email))
  })

  it('are hidden at their paths in a document', () => {
    const output: Output = { name: 'c', labels: [email], paths: [{ path: 'a', label: email }], type: 3802 }
    const shownOf = (each: Output) => {
      const facts = { ...FACTS, statements: [{ class: 'read' as const, outputs: [each] }] }
      const [plan] = planResults(facts, new Map([[email, hash]]))
      if (plan === undefined) throw new Error('outputs make a plan')
      return shown(fit(plan, [], builtinType), '{"a": "x", "b": 1}')
    }
    expect(shownOf(output)).toContain('h_')
    expect(JSON.parse(shownOf({ ...output, mixed: true }) ?? '')).toEqual({ a: '[masked]', b: 1 })
  })
})

describe('a plan', () => {
  it('hides everything until the formats are known', () => {
    expect(shown(planOf(copied(email, TEXT)), 'ada@example.com')).toBeNull()
    expect(shown(fit(planOf(copied(email, TEXT)), [], builtinType), 'ada@example.com')).toBe(
      'a***@example.com',
    )
  })

  it('masks by type and format', () => {
    const plan = planOf(copied(birth, DATE), copied(birth, DATE))
    const fitted = fit(plan, [0, 1], builtinType)
    expect(shown(fitted, '1984-05-12', 0)).toBe('1984-01-01')
    expect(shown(fitted, Buffer.from([0, 0, 0, 60]), 1)).toBe('\0\0\0\0')
    expect(shown(fit(plan, [1], builtinType), Buffer.from([0, 0, 0, 60]), 0)).toBe('\0\0\0\0')
    expect(fit(plan, [0, 1], builtinType)).toBe(fitted)
  })

  it('takes the type of the value from the server, when it says one', () => {
    const plan = planOf(copied(email, 90_000))
    expect(shown(fit(plan, [], builtinType), 'ada@example.com')).toBeNull()
    const described = fit(tighten(plan, [field(TEXT, 7, 2)], never), [], builtinType)
    expect(shown(described, 'ada@example.com')).toBe('a***@example.com')
  })

  it('hides what is computed whole, and says so where it is text', () => {
    const plan = planOf(computed, computed)
    const fitted = fit(tighten(plan, [field(TEXT), field(DATE)], never), [], builtinType)
    expect(shown(fitted, 'ada@example.com', 0)).toBe('[masked]')
    expect(shown(fitted, '1984-05-12', 1)).toBeNull()
    expect(shown(fit(plan, [], builtinType), 'ada@example.com')).toBeNull()
  })

  it('hides what disagrees with the server', () => {
    const plan = planOf(copied(email, TEXT), computed, { name: 'c' })
    const inReach = (relation: number) => relation === 8
    const fields = [field(TEXT, 8, 2), field(TEXT, 8, 2), field(TEXT, 8, 2)]
    const fitted = fit(tighten(plan, fields, inReach), [], builtinType)
    for (const column of [0, 1, 2]) expect(shown(fitted, 'ada@example.com', column)).toBeNull()
    const fewer = fit(tighten(plan, fields.slice(1), inReach), [], builtinType)
    expect(fewer.columns).toHaveLength(2)
    for (const column of [0, 1]) expect(shown(fewer, 'ada@example.com', column)).toBeNull()
  })

  it('believes the server that an expression is a column without a label, and nothing more', () => {
    const source = { relation: 8, attribute: 1, type: TEXT }
    const plan = planOf({ name: 'cast' }, { name: 'other', source }, computed, copied(email, TEXT))
    const inReach = (relation: number, attribute?: number) => relation === 8 && attribute !== 3
    const fields = (attnum: number) => plan.outputs.map(() => field(TEXT, 8, attnum))
    const plain = fit(tighten(plan, fields(3), inReach), [], builtinType)
    expect(shown(plain, 'Ada', 0)).toBe('clear')
    for (const column of [1, 2, 3]) expect(shown(plain, 'Ada', column)).toBeNull()
    const labelled = fit(tighten(plan, fields(2), inReach), [], builtinType)
    for (const column of [0, 1, 2, 3]) expect(shown(labelled, 'Ada', column)).toBeNull()
  })

  it('leaves alone what may be seen, computed or not', () => {
    const facts = planOf({ name: 'c' }, { name: 'd', labels: [brand<LabelName>('seen')], computed: true })
    const same = tighten(facts, [field(TEXT, 9, 1), field(TEXT)], never)
    expect(same.masks).toBe(false)
    expect(fit(same, [], builtinType)).toBe(same)
  })
})

describe('types that users made', () => {
  const row = (oid: number, form: string, more: Partial<Record<number, string>> = {}) =>
    Array.from(
      { length: 10 },
      (_, i) => more[i] ?? (i === 0 ? String(oid) : i === 1 ? form : i === 3 ? ',' : '0'),
    )
  const typeOf = typeLookup([
    row(1, 'd', { 4: '25', 7: '[]', 8: '[]' }),
    row(2, 'e', { 7: '["a","b \\"c\\""]', 8: '[]' }),
    row(3, 'c', { 7: '[]', 8: '[23,1,3]' }),
    row(4, 'b', { 5: '2', 3: ';', 7: '[]', 8: '[]' }),
    row(5, 'r', { 6: '1082', 7: '[]', 8: '[]' }),
    row(6, 'b', { 2: 'citext', 7: '[]', 8: '[]', 9: 'citext' }),
    row(8, 'b', { 2: 'citext', 7: '[]', 8: '[]', 9: '' }),
    row(9, 'b', { 2: 'hstore', 7: '[]', 8: '[]', 9: 'hstore' }),
  ])

  it('are known by what they are made of', () => {
    const labels = ['a', 'b "c"']
    expect(typeOf(1)).toEqual({ kind: 'text' })
    expect(typeOf(2)).toEqual({ kind: 'enum', labels })
    expect(typeOf(4)).toEqual({ kind: 'array', element: { kind: 'enum', labels }, delimiter: ';' })
    expect(typeOf(5)).toEqual({ kind: 'range', of: { kind: 'date' } })
    expect(typeOf(6)).toEqual({ kind: 'text' })
    expect(typeOf(8)).toEqual(OTHER)
    expect(typeOf(9)).toEqual({ kind: 'neutral', name: 'hstore' })
    expect(typeOf(10)).toEqual(OTHER)
  })

  it('that hold themselves, or very many others, end somewhere', () => {
    expect(typeOf(3)).toEqual({
      kind: 'composite',
      attributes: [{ kind: 'integer', bytes: 4 }, { kind: 'text' }, OTHER],
    })
    const wide = Array.from({ length: 9 }, (_, i) =>
      row(100 + i, 'c', {
        7: '[]',
        8: JSON.stringify(Array.from({ length: 20 }, () => (i === 0 ? 25 : 99 + i))),
      }),
    )
    expect(typeLookup(wide)(101)).toMatchObject({ kind: 'composite' })
    expect(typeLookup(wide)(102)).toEqual(OTHER)
  })
})
