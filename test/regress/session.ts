/** One session with the server of the comparison: statements one after the other, answers as rows of text. */
import type { Message, Target } from '../differential/raw-client.ts'
import { copyData, copyDone, query, RawClient } from '../differential/raw-client.ts'

export type Rows = (string | null)[][]

const SETTINGS = {
  datestyle: 'Postgres, MDY',
  timezone: 'PST8PDT',
  intervalstyle: 'postgres_verbose',
  client_encoding: 'UTF8',
  options: '-c statement_timeout=100s',
}

/** What is asked is compared, not timed: a catalogue of thousands of tables takes a busy machine a while. */
const PATIENCE_MS = 300_000

export class ServerSession {
  readonly #client: RawClient
  /** I idle, T in a transaction, E in a failed one, ! ended. */
  state = 'I'

  private constructor(client: RawClient) {
    this.#client = client
  }

  static async open(target: Target): Promise<ServerSession> {
    const { client } = await RawClient.open(target, SETTINGS)
    client.patienceMs = PATIENCE_MS
    return new ServerSession(client)
  }

  close(): void {
    this.#client.destroy()
  }

  /** Runs it and gives the SQLSTATE of its error, if it failed. */
  async send(text: string, data?: string): Promise<{ messages: Message[]; failed: string | undefined }> {
    this.#client.write(query(text))
    const messages: Message[] = []
    for (;;) {
      const part = await this.#client.readUntilType('ZG')
      messages.push(...part)
      const last = part.at(-1)
      if (last?.type === 'G') {
        this.#client.write(copyData(data ?? ''), copyDone())
        continue
      }
      this.state = last?.type === 'Z' ? String.fromCharCode(last.body[0] ?? 0) : '!'
      const error = messages.find(({ type }) => type === 'E')
      if (error === undefined) return { messages, failed: undefined }
      const state = /\0C(\w{5})/.exec(`\0${error.body.toString('latin1')}`)?.[1]
      return { messages, failed: state ?? 'unknown' }
    }
  }

  /** The rows of a question of ours. */
  async rows(text: string): Promise<Rows> {
    return (await this.all([text]))[0] ?? []
  }

  /** The rows of each of several statements, asked at once. */
  async all(texts: readonly string[]): Promise<Rows[]> {
    const { messages, failed } = await this.send(texts.join(';\n'))
    if (failed !== undefined)
      throw new Error(`questions to the server failed with ${failed}: ${texts.join(';\n').slice(0, 1000)}`)
    const answers: Rows[] = []
    let rows: Rows = []
    for (const { type, body } of messages) {
      if (type === 'D') rows.push(columnsOf(body))
      if (type !== 'C') continue
      answers.push(rows)
      rows = []
    }
    return answers
  }
}

function columnsOf(body: Buffer): (string | null)[] {
  const columns: (string | null)[] = []
  let at = 2
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    at += 4
    columns.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(length, 0)
  }
  return columns
}
