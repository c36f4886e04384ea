import { describe, expect, test } from 'vitest'
import { isPermit, PermittedCommand } from './flights.ts'
import { ownJudgement } from './own.ts'

const judgement = ownJudgement('a table')
const command = { form: 'query', text: 'UPDATE t SET a = 1', facts: judgement.facts }

describe('J-02 what was approved for a number of rows (P-05)', () => {
  test('does not leave before somebody has taken on to count them', () => {
    const permit = new PermittedCommand(1, command, judgement, 0, { least: 1, most: 1 })
    expect(isPermit(permit)).toBe(false)
    permit.count()
    expect(isPermit(permit)).toBe(true)
  })

  test('everything else leaves as it is', () => {
    expect(isPermit(new PermittedCommand(1, command, judgement, 0))).toBe(true)
  })
})
