import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { RandomBytes } from '../core/index.ts'
import { GatewayError } from '../core/index.ts'

/** Without a slash, a blank or a plus sign: it is a part of the name of a log and of its key. */
const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * What this gateway is called among others on one store: made once, of the name of the machine and 30 random bits, and
 * kept in the data directory, since the name belongs to the journal and the log there. Throws `invalid` for a file that
 * holds something else.
 */
export function nodeName(dataDirectory: string, random: RandomBytes): string {
  const path = join(dataDirectory, 'node')
  if (existsSync(path)) {
    const name = readFileSync(path, 'utf8').trim()
    if (NAME.test(name)) return name
    throw new GatewayError('invalid', `The file ${path} does not hold the name of a node.`, {
      remedy: 'Bring it back from a copy.',
    })
  }
  const machine = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
    .slice(0, 40)
  const letters = [...random(6)].map((byte) => LETTERS.charAt(byte & 31)).join('')
  const name = `${machine === '' ? 'node' : machine}-${letters}`
  writeFileSync(path, `${name}\n`, { mode: 0o600, flag: 'wx', flush: true })
  return name
}
