/**
 * A process of its own that appends to a log in a directory, asks a witness about each checkpoint, and says what it
 * published and what was cosigned: for tests that kill it. Arguments: directory, URL of the witness, its public key,
 * how many batches.
 */
import { writeSync } from 'node:fs'
import {
  collectCosignatures,
  DirectoryStorage,
  LogWriter,
  nodeEd25519,
  nodeSha256,
  parseVerifierKey,
  WitnessClient,
  witnessPost,
} from '../evidence/index.ts'
import { keyOf } from './witnessed-log.ts'

const [directory = '', url = '', vkey = '', batches = '1'] = process.argv.slice(2)
const signer = keyOf('gateway.example/log', 1)

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

const writer = await LogWriter.open({
  storage: await DirectoryStorage.open(directory),
  sha256: nodeSha256,
  ed25519: nodeEd25519,
  origin: signer.key.name,
  signer,
})
const key = parseVerifierKey(nodeSha256, vkey)
const witness = new WitnessClient(nodeEd25519, { key, post: witnessPost(url) })
say(`opened ${writer.head?.size ?? 0}`)
for (let batch = 0; batch < Number(batches); batch++) {
  const from = writer.head?.size ?? 0
  const count = 1 + ((from * 7 + batch) % 90)
  // No two runs append the same: what a crash left behind must be finished as it was.
  const entries = Array.from({ length: count }, (_, i) => Buffer.from(`${process.pid} ${from + i}`))
  const { size, root, signed } = await writer.append(entries)
  say(`published ${size} ${Buffer.from(root).toString('hex')}`)
  const { signed: both, cosigned, failed } = await collectCosignatures([witness], signed, writer.reader())
  for (const { error } of failed) say(`failed ${error.code} ${error.message}`)
  if (cosigned.length === 0) continue
  await writer.keepCosigned(both)
  say(`cosigned ${size}`)
}
