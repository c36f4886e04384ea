import type { Command } from 'commander'
import { addKeyCommand } from './key.ts'
import { addProveCommand } from './prove.ts'
import { addVerifyCommand } from './verify.ts'

/** `sluice audit`: whether a recording is what was recorded. Needs public keys and the files, and no gateway. */
export function addAuditCommands(program: Command): void {
  const group = program.command('audit').description('verify a recording, and prove parts of it to others')
  addVerifyCommand(group)
  addProveCommand(group)
  addKeyCommand(group)
}
