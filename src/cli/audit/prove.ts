import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { print, UsageError } from '../context.ts'
import { masterKeys } from './keys.ts'

type ProveFlags = Common & { readonly out?: string; readonly masterKey?: string; readonly payloads: boolean }

export function addProveCommand(group: Command): void {
  group
    .command('prove')
    .argument('<session[/sequence]>', 'a sealed session, or one frame of it by its sequence number')
    .description('write an evidence file: what `sluice audit verify FILE` checks without anything else')
    .option('--out <file>', 'where to; standard output by default')
    .option('--master-key <file>', 'shows the payloads as well; SLUICE_KEY by default')
    .option('--no-payloads', 'shows no payloads, whichever keys are at hand')
    .action(async (what: string, flags: ProveFlags) => {
      const [, session = '', digits] = /^([0-9A-Z]{26})(?:\/([0-9]{1,16}))?$/.exec(what) ?? []
      if (session === '')
        throw new UsageError('Write SESSION or SESSION/SEQUENCE, such as 01KG9YS7G0WZ1PM1Z6QPQ83PSD/17.')
      const audit = await import('../../audit/index.ts')
      const keys = flags.payloads ? await masterKeys(flags.masterKey, flags.data) : undefined
      const evidence = await audit.proveFrames({
        source: audit.directoryAuditSource(flags.data),
        primitives: audit.nodePrimitives,
        session,
        ...(digits === undefined ? {} : { sequence: Number(digits) }),
        ...(keys === undefined ? {} : { payloads: audit.payloadReader(keys.recording) }),
      })
      const text = audit.formatEvidence(evidence)
      if (Buffer.byteLength(text) > LIMITS.evidenceBytesMax) {
        throw new GatewayError('limit_exceeded', 'This session is too long for one evidence file.', {
          remedy:
            'Name the frames that matter, one file each: SESSION/SEQUENCE; or leave out what was shown: --no-payloads.',
        })
      }
      const { out } = flags
      if (out === undefined) {
        process.stdout.write(text)
        return
      }
      // Others' statements and results may be in it.
      writeFileSync(out, text, { mode: 0o600 })
      const { frames } = evidence
      print(
        flags,
        { session, frames: frames.length, file: out },
        () => `${frames.length} frames of ${session} are in ${out}.`,
      )
    })
}
