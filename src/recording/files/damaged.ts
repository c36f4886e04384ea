import { basename } from 'node:path'
import { GatewayError } from '../../core/index.ts'

/** What stands in a file of the recording is not what was written there. */
export function damaged(path: string, offset: number, reason: string): GatewayError {
  const file = basename(path)
  return new GatewayError('invalid', `The recording is damaged: ${file}, byte ${offset}: ${reason}.`, {
    remedy: 'Bring the file back from a copy. What can be proved without it, sluice audit verify tells.',
    facts: { file, offset },
  })
}
