import type { Command } from 'commander'
import { addEraseCommand } from './erase.ts'
import { addKeyCommand } from './key.ts'
import { addLogCommand } from './log.ts'
import { addProveCommand } from './prove.ts'
import { addSeenCommands } from './seen.ts'
import { addShowCommand } from './show.ts'
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
  addShowCommand(group)
  addLogCommand(group)
  addKeyCommand(group)
  addEraseCommand(group)
  addSeenCommands(group)
}
