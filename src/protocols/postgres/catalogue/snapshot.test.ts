import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogueNames } from './catalogue.ts'
import { type Answer, answersIn, inOrder, snapshotText } from './snapshot.ts'

const row = fc.array(fc.option(fc.string()), { minLength: 1, maxLength: 3 })
const answers = fc.array(fc.array(row, { maxLength: 4 }), {
  minLength: catalogueNames.length,
  maxLength: catalogueNames.length,
})

/** Rows as a server may give them: in another order, but for those of `columns`. */
function reordered(all: readonly Answer[]): Answer[] {
  return all.map((rows, at) => (catalogueNames[at] === 'columns' ? rows : rows.toReversed()))
}

describe('definitions as a snapshot', () => {
  it('are the same text for the same definitions, and read again as they were', () => {
    fc.assert(
      fc.property(answers, (all) => {
        const text = snapshotText(inOrder(all))
        expect(snapshotText(inOrder(reordered(all)))).toBe(text)
        expect(answersIn(text)).toEqual(inOrder(all))
      }),
    )
  })

  it('keep the order of columns, which is that of a star', () => {
    const all = catalogueNames.map((name) => (name === 'columns' ? [['2'], ['1']] : []))
    expect(inOrder(all)[catalogueNames.indexOf('columns')]).toEqual([['2'], ['1']])
  })

  it.each([
    ['another kind', { kind: 'configuration', answers: {} }],
    ['an answer less', { kind: 'postgres catalogue', answers: { database: [['crm', 'public']] } }],
    ['rows of another form', { kind: 'postgres catalogue', answers: { database: [[1]] } }],
  ])('are none in a text of %s', (_what, content) => {
    expect(answersIn(JSON.stringify(content))).toBeUndefined()
  })
})
