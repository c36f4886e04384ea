import type { Command } from 'commander'
import { addKeyCommand } from './key.ts'
import { addProveCommand } from './prove.ts'
import { addSeenCommands } from './seen.ts'
import { addVerifyCommand } from './verify.ts'

/**
 * `sluice audit`: whether a recording is what was recorded, which needs public keys and the files, and no gateway; and who
 * saw what, which asks one.
 */
export function addAuditCommands(program: Command): void {
  const group = program
    .command('audit')
    .description('verify a recording, prove parts of it to others, and ask who saw what')
  addVerifyCommand(group)
  addProveCommand(group)
  addKeyCommand(group)
  addSeenCommands(group)
}
