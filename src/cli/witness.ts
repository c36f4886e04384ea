import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { GatewayError, systemClock } from '../core/index.ts'
import type { Common } from './context.ts'
import { hostOf, print, UsageError } from './context.ts'
import { reportFault, stopSignal } from './start.ts'

type KeyFlags = Common & { readonly key: string }
type ServeFlags = KeyFlags & {
  readonly log: readonly string[]
  readonly listen: string
  readonly state: string
}

const SEED_BYTES = 32
/** A name, an id and base 64: nothing longer is a key. */
const KEY_FILE_BYTES_MAX = 4_096

/** `sluice witness`: a second machine that saw the log, so that nobody can show two people two logs. */
export function addWitnessCommands(program: Command): void {
  const group = program.command('witness').description('cosign the logs of gateways (C2SP tlog-witness)')
  group
    .command('key')
    .argument('<name>', 'what the witness is called, such as witness.example.com/w1')
    .requiredOption('--key <file>', 'where to write the private key; must not exist')
    .description('make the key of a witness, and print its public half')
    .action(async (name: string, flags: KeyFlags) => {
      const evidence = await import('../evidence/index.ts')
      const { nodeSha256, nodeEd25519 } = evidence
      const text = evidence.formatSignerKey(nodeSha256, nodeEd25519, name, randomBytes(SEED_BYTES))
      writeKeyFile(flags.key, text)
      const { key } = evidence.parseSignerKey(nodeSha256, nodeEd25519, text, 'cosignature')
      const vkey = evidence.formatVerifierKey(key)
      print(flags, { name, key: vkey, file: flags.key }, () => vkey)
    })
  group
    .command('serve')
    .requiredOption('--key <file>', 'the private key, as `sluice witness key` made it')
    .requiredOption('--log <vkey...>', 'public keys of the logs to witness; the name of each is its origin')
    .requiredOption('--listen <host:port>', 'where to answer, in plain HTTP; port 0 takes a free one')
    .requiredOption('--state <dir>', 'what was cosigned last: never bring back an older copy of it')
    .description('answer logs that want their checkpoints cosigned, until SIGTERM or SIGINT')
    .action(async (flags: ServeFlags) => {
      const stopped = stopSignal()
      const { host, port } = parseListen(flags.listen)
      const evidence = await import('../evidence/index.ts')
      const { nodeSha256, nodeEd25519 } = evidence
      const logs = flags.log.map((text) => evidence.parseVerifierKey(nodeSha256, text))
      const signer = evidence.parseSignerKey(nodeSha256, nodeEd25519, readKeyFile(flags.key), 'cosignature')
      const state = new evidence.WitnessState(flags.state)
      try {
        const witness = new evidence.Witness({
          logs,
          signer,
          storage: state,
          hasher: evidence.treeHasher(nodeSha256),
          ed25519: nodeEd25519,
          clock: systemClock,
          onContradiction: (origin, size) =>
            process.stderr.write(
              `${new Date().toISOString()} ${origin} has signed two trees of ${size} entries: the second one is kept in ${flags.state}\n`,
            ),
        })
        const server = await evidence.startWitnessServer({ witness, host, port, report: reportFault })
        const key = evidence.formatVerifierKey(signer.key)
        const url = `http://${hostOf(server.host)}:${server.port}`
        print(
          flags,
          { ready: true, pid: process.pid, url, key },
          () => `The witness answers at ${url} (process ${process.pid}).\n  ${key}`,
        )
        await stopped
        await server.stop()
      } finally {
        state.close()
      }
    })
}

function parseListen(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || !(port <= 65_535))
    throw new UsageError('Write --listen as HOST:PORT, such as 127.0.0.1:8444 or [::1]:8444.')
  return { host, port }
}

function writeKeyFile(path: string, text: string): void {
  try {
    writeFileSync(path, `${text}\n`, { flag: 'wx', mode: 0o600, flush: true })
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause
    throw new GatewayError('conflict', `${path} exists already; a key is never overwritten.`, {
      remedy: 'Name another file, or remove this one if nobody trusts its key any more.',
    })
  }
}

function readKeyFile(path: string): string {
  try {
    const { size, mode } = statSync(path)
    if (size > KEY_FILE_BYTES_MAX) throw new Error('too long')
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      process.stderr.write(`warning: others may read ${path}; chmod 600 it\n`)
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw new GatewayError('invalid', `The key file ${path} cannot be read.`, {
      remedy: 'Make one with `sluice witness key NAME --key FILE`.',
      cause,
    })
  }
}
