import type { Command } from 'commander'
import { addCheck } from './check.ts'
import { addExplain } from './explain.ts'
import { addProve } from './prove/index.ts'
import { addSimulate } from './simulate/index.ts'
import { addTest } from './run-cases.ts'

export function addPolicyCommands(program: Command): void {
  const group = program
    .command('policy')
    .description('rules: check them, ask what they make of a statement, test them')
  addCheck(group)
  addExplain(group)
  addTest(group)
  addSimulate(group)
  addProve(group)
}
