/** The ways in which one section of the corpus is sent. Each returns every message that came back, in order. */
import type { Item, Section } from './corpus.ts'
import type { Message, RawClient } from './raw-client.ts'
import {
  bind,
  closeNamed,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  parse,
  query,
  sync,
} from './raw-client.ts'

export type Mode = {
  readonly name: string
  run(client: RawClient, section: Section): Promise<Message[]>
}

function parts(item: Item) {
  if (typeof item === 'string') return { sql: item, values: [], copy: undefined, parameterised: false }
  return {
    sql: item.sql,
    values: item.values ?? [],
    copy: item.copy,
    parameterised: item.values !== undefined,
  }
}

/** Reads to ReadyForQuery, and gives the server what it asks for on the way. */
async function answer(client: RawClient, item: Item, extended: boolean): Promise<Message[]> {
  const seen: Message[] = []
  const { copy } = parts(item)
  for (;;) {
    const read = await client.readUntilType('ZG')
    seen.push(...read)
    if (read.at(-1)?.type !== 'G') return seen
    for (const data of copy?.data ?? []) client.write(copyData(data))
    client.write(copy?.fail === undefined ? copyDone() : copyFail(copy.fail))
    // A Sync before CopyDone is ignored by the server: libpq sends it after, and so must we.
    if (extended) client.write(sync())
  }
}

const simple: Mode = {
  name: 'simple',
  async run(client, { items }) {
    const seen: Message[] = []
    for (const item of items) {
      const { sql, parameterised } = parts(item)
      if (parameterised) continue
      client.write(query(sql))
      seen.push(...(await answer(client, item, false)))
    }
    return seen
  },
}

/** Parse, Describe, Bind, Describe, Execute, Close, Sync; all results in `format`. */
function extended(name: string, format: 0 | 1, statement: string, portal: string): Mode {
  return {
    name,
    async run(client, { items }) {
      const seen: Message[] = []
      for (const item of items) {
        const { sql, values, copy } = parts(item)
        client.write(
          parse(statement, sql),
          describe('S', statement),
          bind(portal, statement, values, format),
          describe('P', portal),
          execute(portal),
          ...(copy === undefined ? [closeNamed('P', portal), closeNamed('S', statement), sync()] : [flush()]),
        )
        if (copy === undefined) seen.push(...(await client.readUntilReady()))
        else seen.push(...(await copyAnswer(client, item)))
      }
      return seen
    },
  }
}

/** With COPY the Sync comes after the data; if the server refused instead of asking for it, at once. */
async function copyAnswer(client: RawClient, item: Item): Promise<Message[]> {
  const { copy } = parts(item)
  const seen = await client.readUntilType('GE')
  if (seen.at(-1)?.type === 'G') {
    for (const data of copy?.data ?? []) client.write(copyData(data))
    client.write(copy?.fail === undefined ? copyDone() : copyFail(copy.fail))
  }
  client.write(sync())
  seen.push(...(await client.readUntilReady()))
  return seen
}

/** Fetches two rows at a time: Execute with a limit until the portal is no longer suspended. */
const suspended: Mode = {
  name: 'two rows at a time',
  async run(client, { items }) {
    const seen: Message[] = []
    for (const item of items) {
      const { sql, values, copy } = parts(item)
      if (copy !== undefined) continue
      client.write(parse('', sql), bind('p', '', values, 0), describe('P', 'p'), flush())
      for (let round = 0; round < 4; round++) {
        client.write(execute('p', 2), flush())
        const read = await client.readUntilType('sCIE')
        seen.push(...read)
        if (read.at(-1)?.type !== 's') break
      }
      client.write(closeNamed('P', 'p'), sync())
      seen.push(...(await client.readUntilReady()))
    }
    return seen
  },
}

/** Everything without COPY in one write, a Sync after every `batch` statements, before anything is read. */
function pipelined(name: string, batch: number, format: 0 | 1, pieces = 0): Mode {
  return {
    name,
    async run(client, { items }) {
      const writes: Buffer[] = []
      let syncs = 0
      const wanted = items.filter((item) => parts(item).copy === undefined)
      wanted.forEach((item, index) => {
        const { sql, values } = parts(item)
        const statement = `s${index}`
        writes.push(
          parse(statement, sql),
          bind('', statement, values, format),
          describe('P', ''),
          execute(''),
        )
        if (index % batch === batch - 1 || index === wanted.length - 1) {
          writes.push(sync())
          syncs++
        }
      })
      if (pieces === 0) {
        client.write(...writes)
        return client.readUntilReady(syncs)
      }
      await client.writeInPieces(Buffer.concat(writes), pieces)
      return notifiedInTheEnd(await client.readUntilReady(syncs))
    },
  }
}

/**
 * A server sends notifications whenever it waits for the client, and that it waits for a piece is a question of time: here
 * they come at the end of their group, where they come at the latest.
 */
function notifiedInTheEnd(messages: readonly Message[]): Message[] {
  const ordered: Message[] = []
  let notified: Message[] = []
  for (const message of messages) {
    if (message.type === 'A') notified.push(message)
    else if (message.type === 'Z') {
      ordered.push(...notified, message)
      notified = []
    } else ordered.push(message)
  }
  return [...ordered, ...notified]
}

/** Simple queries one behind the other without waiting. */
const queued: Mode = {
  name: 'simple, all at once',
  async run(client, { items }) {
    const wanted = items.map(parts).filter(({ copy, parameterised }) => copy === undefined && !parameterised)
    if (wanted.length === 0) return []
    client.write(...wanted.map(({ sql }) => query(sql)))
    return client.readUntilReady(wanted.length)
  },
}

/** Each statement prepared once and executed three times, with Describe only the first time. */
const repeated: Mode = {
  name: 'prepared once, executed three times',
  async run(client, { items }) {
    const seen: Message[] = []
    for (const [index, item] of items.entries()) {
      const { sql, values, copy } = parts(item)
      if (copy !== undefined) continue
      const name = `again${index}`
      client.write(parse(name, sql), describe('S', name), sync())
      seen.push(...(await client.readUntilReady()))
      for (const format of [0, 1, 0] as const) {
        client.write(bind('', name, values, format), execute(''), sync())
        seen.push(...(await client.readUntilReady()))
      }
    }
    return seen
  },
}

export const MODES: readonly Mode[] = [
  simple,
  extended('extended, text', 0, '', ''),
  extended('extended, binary', 1, '', ''),
  extended('extended, named', 0, 'statement', 'portal'),
  suspended,
  repeated,
  pipelined('pipelined, a Sync each', 1, 0),
  pipelined('pipelined, a Sync after five', 5, 1),
  pipelined('pipelined, in pieces of 7 bytes', 3, 0, 7),
  queued,
]
