import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { GatewayError } from '../../core/index.ts'
import { formatVerifierKey, nodeSha256, parseVerifierKey } from '../../evidence/index.ts'
import { labelKey, safe } from '../../recording/index.ts'
import type { AuditKeys } from '../../composition/audit-keys.ts'
import type { Common } from '../context.ts'
import { print } from '../context.ts'
import { masterKeys } from './keys.ts'

type KeyFlags = Common & { readonly masterKey?: string; readonly label?: string }

export function addKeyCommand(group: Command): void {
  group
    .command('key')
    .description('print the public key of the log: for auditors, and for `sluice witness serve --log`')
    .option('--master-key <file>', 'the master key of the gateway; SLUICE_KEY by default')
    .option(
      '--label <name>',
      'in its place the secret keys of sealed values of this label, for who may see it',
    )
    .action(async (flags: KeyFlags) => {
      const keys = await masterKeys(flags.masterKey, flags.data)
      if (flags.label !== undefined) {
        printLabelKeys(flags, flags.label, keys)
        return
      }
      const [origin] = textIfThere(join(flags.data, 'log', 'checkpoint'))?.split('\n') ?? []
      if (keys !== undefined) {
        const key = formatVerifierKey(keys.logSigner(origin).key)
        print(flags, { key, from: 'master key' }, () => key)
        return
      }
      const said = textIfThere(join(flags.data, 'log', 'key'))?.trim()
      // Whatever else stands there does not get to the terminal.
      const key = said === undefined ? undefined : formatVerifierKey(parseVerifierKey(nodeSha256, said))
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

/** One for each master key, the present one first: recordings name which they need. */
function printLabelKeys(flags: KeyFlags, label: string, keys: AuditKeys | undefined): void {
  if (keys === undefined) {
    throw new GatewayError('not_found', 'There is no master key to make the key of a label from.', {
      remedy: 'Name it with --master-key, or put it into SLUICE_KEY.',
    })
  }
  const made = keys.recording.map((each) => ({
    recordingKey: each.id,
    key: Buffer.from(labelKey(each, label)).toString('base64'),
  }))
  process.stderr.write(`note: who has these reads every value of ${safe(label)} in the recordings at hand\n`)
  print(flags, { label, keys: made }, () =>
    made.map(({ recordingKey, key }) => `${recordingKey} ${key}`).join('\n'),
  )
}

function textIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
