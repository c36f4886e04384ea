import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { GatewayError } from '../../core/index.ts'
import { formatVerifierKey } from '../../evidence/index.ts'
import type { Common } from '../context.ts'
import { print } from '../context.ts'
import { masterKeys } from './keys.ts'

type KeyFlags = Common & { readonly masterKey?: string }

export function addKeyCommand(group: Command): void {
  group
    .command('key')
    .description('print the public key of the log: for auditors, and for `sluice witness serve --log`')
    .option('--master-key <file>', 'the master key of the gateway; SLUICE_KEY by default')
    .action(async (flags: KeyFlags) => {
      const keys = await masterKeys(flags.masterKey, flags.data)
      const [origin] = textIfThere(join(flags.data, 'log', 'checkpoint'))?.split('\n') ?? []
      if (keys !== undefined) {
        const key = formatVerifierKey(keys.logSigner(origin).key)
        print(flags, { key, from: 'master key' }, () => key)
        return
      }
      const key = textIfThere(join(flags.data, 'log', 'key'))?.trim()
      if (key === undefined) {
        throw new GatewayError(
          'not_found',
          'There is no log in this data directory, and no master key to say its key.',
          {
            remedy: 'Name the data directory with --data, or the master key with --master-key.',
          },
        )
      }
      process.stderr.write(
        'note: this is what the data directory says; the master key would say it for certain\n',
      )
      print(flags, { key, from: 'data directory' }, () => key)
    })
}

function textIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
