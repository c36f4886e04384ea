/**
 * Run by a test as a process of its own, which has system calls fail or kills it: erases all payloads of a session, once a
 * line comes, and prints what came of it.
 */
import { once } from 'node:events'
import { isGatewayError, type SessionId } from '../core/index.ts'
import { Eraser } from '../recording/erasure/eraser.ts'
import { concerns, putInPlace, thinned } from '../recording/erasure/rewrite.ts'
import { isSessionId } from '../recording/files/names.ts'
import { openJournal } from '../recording/journal/journal.ts'
import { FakeClock } from './fake-clock.ts'
import { random, testKeys } from './recording-keys.ts'

const [directory = '', session = '', at = ''] = process.argv.slice(2)
if (!isSessionId(session)) throw new Error('usage: eraser-program.ts DATA_DIRECTORY SESSION NOW')

const clock = new FakeClock(Number(at))
const onFault = (): void => undefined
const journal = openJournal({ directory, keys: testKeys, random, clock, onFault })
const eraser = new Eraser({
  directory,
  keys: testKeys,
  journal,
  rewriter: {
    concerns: (of: SessionId, removal) => concerns({ directory, keys: testKeys }, of, removal),
    thin: (of, removal) => thinned({ directory, keys: testKeys, random }, of, removal),
    putInPlace: (of, found) => putInPlace(directory, of, found),
  },
  clock,
  isHeld: () => false,
  onErased: () => Promise.resolve(),
  onFault,
})
process.stdout.write('ready\n')
await once(process.stdin, 'data')
let said: string
try {
  const { state } = await eraser.request({ session, scope: {}, by: 'person:ada', reason: 'case 4711' })
  said = state
} catch (error) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  said = `${isGatewayError(error) ? 'refused' : 'failed'} ${code}`
}
process.stdout.write(`${said}\n`, () => process.exit())
