import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { type Changed, Groups, shapeOf } from './groups.ts'
import { changeBetween, type Outcome } from './outcome.ts'

const masks = fc.dictionary(
  fc.constantFrom('result 1.1', 'result 1.2', 'a.b.c'),
  fc.constantFrom('full', 'null'),
)

const outcomes: fc.Arbitrary<Outcome> = fc.record({
  decision: fc.constantFrom('allow', 'hold', 'deny'),
  rules: fc.array(fc.constantFrom('one (a:1)', 'two (a:2)'), { maxLength: 2 }),
  masks: masks.map((each) => new Map(Object.entries(each))),
  limit: fc.constantFrom('no limit', '10 rows'),
})

const changed: fc.Arbitrary<Omit<Changed, 'place'>> = fc
  .record({
    connection: fc.constantFrom('crm', 'api'),
    shape: fc.constantFrom('SELECT ?', 'SELECT * FROM t'),
    before: outcomes,
    after: outcomes,
  })
  .filter(({ before, after }) => changeBetween(before, after) !== undefined)
  .map((each) => {
    const change = changeBetween(each.before, each.after)
    if (change === undefined) throw new Error('there is none')
    return { ...each, change }
  })

function grouped(all: readonly Omit<Changed, 'place'>[], from = 0): Groups {
  const groups = new Groups()
  for (const [n, each] of all.entries())
    groups.add({ ...each, place: { session: 's', n: from + n, time: 0 } })
  return groups
}

describe('groups of changes', () => {
  test('hold every change once, and each group only what is alike', () => {
    fc.assert(
      fc.property(fc.array(changed, { maxLength: 60 }), (all) => {
        const groups = grouped(all)
        const found = groups.all()
        expect(groups.count).toBe(all.length)
        expect(groups.ungrouped).toBe(0)
        expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(all.length)
        const places = found.flatMap((each) => each.places.map(({ n }) => n))
        expect(places.sort((a, b) => a - b)).toEqual(all.map((_each, n) => n))
        for (const group of found) {
          expect(group.places).toHaveLength(group.count)
          for (const { n } of group.places) {
            const each = all[n]
            expect(each).toMatchObject({
              connection: group.connection,
              shape: group.shape,
              change: group.change,
            })
            expect(each?.before.rules).toEqual(group.before.rules)
            expect(each?.after.rules).toEqual(group.after.rules)
          }
        }
        const keys = found.map((each) =>
          JSON.stringify([each.connection, each.change, each.shape, each.before, each.after]),
        )
        expect(new Set(keys).size).toBe(keys.length)
      }),
    )
  })

  test('are the same groups in whichever order the changes come', () => {
    const counts = (groups: Groups) =>
      groups
        .all()
        .map(({ count, connection, change, shape, before, after }) =>
          JSON.stringify([count, connection, change, shape, before, after]),
        )
    fc.assert(
      fc.property(fc.array(changed, { maxLength: 40 }), (all) => {
        expect(counts(grouped(all.toReversed())).sort()).toEqual(counts(grouped(all)).sort())
      }),
    )
  })
})

describe('a change', () => {
  const pair = fc.tuple(outcomes, outcomes)

  test('is none between what is the same, and is undone by its opposite', () => {
    fc.assert(
      fc.property(pair, ([before, after]) => {
        expect(changeBetween(before, before)).toBeUndefined()
        const there = changeBetween(before, after)
        const back = changeBetween(after, before)
        expect(back === undefined).toBe(there === undefined)
        expect(back?.added).toEqual(there?.removed)
        expect(back?.removed).toEqual(there?.added)
        expect(back?.altered).toEqual(there?.altered)
      }),
    )
  })

  test('is there whenever the decision, a mask of what is shown, or its limit is another', () => {
    fc.assert(
      fc.property(pair, ([before, after]) => {
        const shown = before.decision !== 'deny' && after.decision !== 'deny'
        const told = ({ decision, masks, limit }: Outcome) =>
          JSON.stringify([
            decision,
            ...(shown ? [Object.fromEntries([...masks].sort(([a], [b]) => (a < b ? -1 : 1))), limit] : []),
          ])
        expect(changeBetween(before, after) !== undefined).toBe(told(before) !== told(after))
      }),
    )
  })
})

describe('the shape of a text', () => {
  it.each([
    ["SELECT *\n  FROM t WHERE a = 'it''s' AND b=12.5", 'SELECT * FROM t WHERE a = ? AND b=?'],
    ['SELECT a1, $1 FROM t2 LIMIT 100', 'SELECT a1, $1 FROM t2 LIMIT ?'],
    ["INSERT INTO t VALUES ('unfinished", 'INSERT INTO t VALUES (?'],
    ['', ''],
  ])('of %s has no values', (text, shape) => {
    expect(shapeOf(text)).toBe(shape)
  })

  it('is short, however long the text', () => {
    expect(shapeOf(`SELECT ${'x'.repeat(1_000_000)}`).length).toBeLessThanOrEqual(200)
  })
})
