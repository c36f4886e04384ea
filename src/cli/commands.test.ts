import { describe, expect, it } from 'vitest'
import { COMMAND_GROUPS, groupsFor } from './commands.ts'

describe('what is loaded for a command', () => {
  it('has no name twice', () => {
    const names = COMMAND_GROUPS.flatMap((group) => group.names)
    expect(names).toHaveLength(new Set(names).size)
  })

  it('is its own group alone', () => {
    for (const group of COMMAND_GROUPS) {
      for (const name of group.names) expect(groupsFor(name)).toEqual([group])
    }
  })

  it.each([undefined, '--help', '-h', 'help', 'stauts', ''])('is everything for %o', (word) => {
    expect(groupsFor(word)).toEqual(COMMAND_GROUPS)
  })

  it('is nothing for the version', () => {
    expect(groupsFor('--version')).toEqual([])
  })
})
