/** The ways in which a client can ask the same thing, each as bytes and how many ReadyForQuery will answer them. */
import { bind, closeNamed, describe, execute, parse, query, sync } from '../differential/raw-client.ts'
import type { Message, RawClient } from '../differential/raw-client.ts'
import type { Dice } from './schemas.ts'

export const TRANSPORTS = [
  'simple',
  'extended',
  'binary',
  'described',
  'portal',
  'prepared',
  'cursor',
  'copy',
  'explain',
  'pipelined',
  'batch',
] as const
export type Transport = (typeof TRANSPORTS)[number]

export type Part = { readonly bytes: Buffer; readonly readies: number }

const FOR_QUERIES: readonly Transport[] = ['prepared', 'cursor', 'copy', 'explain', 'portal']

export function transportFor(dice: Dice, isQuery: boolean): Transport {
  if (dice.chance(35)) return 'simple'
  const chosen = dice.pick(TRANSPORTS)
  return isQuery || !FOR_QUERIES.includes(chosen) ? chosen : 'extended'
}

/** `variant`: a number that chooses among options of a transport, the same for every target. */
export function partsOf(transport: Transport, sql: string, variant: number): readonly Part[] {
  const simple = (text: string): Part => ({ bytes: query(text), readies: 1 })
  const option = <T>(list: readonly [T, ...T[]]): T => list[variant % list.length] ?? list[0]
  switch (transport) {
    case 'simple':
      return [simple(sql)]
    case 'extended':
      return [{ bytes: asked('', sql, 0), readies: 1 }]
    case 'binary':
      return [{ bytes: asked('', sql, 1), readies: 1 }]
    case 'described':
      // Described as a statement, then executed twice, the second time without asking what comes.
      return [
        {
          bytes: Buffer.concat([closeNamed('S', 'd'), parse('d', sql), describe('S', 'd'), sync()]),
          readies: 1,
        },
        { bytes: Buffer.concat([bind('', 'd', [], 0), execute(''), sync()]), readies: 1 },
        {
          bytes: Buffer.concat([bind('', 'd', [], 1), execute(''), closeNamed('S', 'd'), sync()]),
          readies: 1,
        },
      ]
    case 'portal':
      return [
        {
          bytes: Buffer.concat([
            parse('', sql),
            bind('p', '', [], option([0, 1])),
            describe('P', 'p'),
            execute('p', 1),
            execute('p', 2),
            execute('p'),
            sync(),
          ]),
          readies: 1,
        },
      ]
    case 'prepared':
      return [simple(`PREPARE made_up AS ${sql}`), simple('EXECUTE made_up'), simple('DEALLOCATE made_up')]
    case 'cursor':
      return [
        simple(`DECLARE cu ${option(['', 'SCROLL ', 'BINARY ', 'NO SCROLL '])}CURSOR FOR ${sql}`),
        simple(option(['FETCH ALL FROM cu', 'FETCH 2 FROM cu; FETCH ALL FROM cu', 'FETCH NEXT IN cu'])),
        simple('CLOSE cu'),
      ]
    case 'copy':
      return [
        simple(
          `COPY (${sql}) TO STDOUT${option(['', ' (FORMAT csv)', ' (FORMAT csv, HEADER, FORCE_QUOTE *)', ' (FORMAT binary)'])}`,
        ),
      ]
    case 'explain':
      return [
        simple(
          `EXPLAIN (${option(['COSTS off', 'ANALYZE, TIMING off, SUMMARY off, BUFFERS off', 'VERBOSE, COSTS off', 'COSTS off, FORMAT json', 'VERBOSE, ANALYZE, TIMING off, SUMMARY off, BUFFERS off, FORMAT xml'])}) ${sql}`,
        ),
      ]
    case 'pipelined':
      return [
        {
          bytes: Buffer.concat([
            asked('', 'SELECT 1', 0),
            asked('q', sql, option([0, 1])),
            closeNamed('S', 'q'),
            sync(),
          ]),
          readies: 3,
        },
      ]
    case 'batch':
      return [simple(`SELECT 1; ${sql}; SELECT 'two'`)]
  }
}

function asked(name: string, sql: string, format: 0 | 1): Buffer {
  return Buffer.concat([
    ...(name === '' ? [] : [closeNamed('S', name)]),
    parse(name, sql),
    bind('', name, [], format),
    describe('P', ''),
    execute(''),
    sync(),
  ])
}

/** Everything that came back. */
export async function ask(client: RawClient, parts: readonly Part[]): Promise<Message[]> {
  const seen: Message[] = []
  for (const { bytes, readies } of parts) {
    client.write(bytes)
    // One by one: a result may have more rows than a call may have arguments.
    for (const message of await client.readUntilReady(readies)) seen.push(message)
    if (seen.at(-1)?.type !== 'Z') break
  }
  return seen
}
