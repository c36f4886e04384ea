/**
 * The client of the HTTP benchmarks, in a process of its own: it makes requests over lines that stay open, and reads answers by
 * their `Content-Length`. Reads one job a line from standard input and prints what came of it as a line of JSON.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'

export type Job = { readonly port: number; readonly path: string; readonly token: string | undefined } & (
  | { readonly kind: 'once' }
  | { readonly kind: 'throughput'; readonly clients: number; readonly seconds: number }
  | { readonly kind: 'latency'; readonly clients: number; readonly seconds: number; readonly rate: number }
)

export type Done = {
  readonly answers: number
  readonly bytes: number
  readonly ms: number
  /** Milliseconds of each answer of a latency job. */
  readonly times: readonly number[]
  /** The beginning of the last answer's body. */
  readonly head: string
}

const HEAD_END = Buffer.from('\r\n\r\n')
const SHOWN_BYTES = 4096

/** One line to the server: one request at a time. */
class Line {
  readonly #socket: Socket
  readonly #request: Buffer
  #waiting: { resolve: (bytes: number) => void; reject: (error: Error) => void } | undefined
  #head: Buffer = Buffer.alloc(0)
  #length = -1
  #got = 0
  shown = ''

  constructor(socket: Socket, { path, token }: Job) {
    this.#socket = socket
    const authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`
    this.#request = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: bench\r\n${authorization}\r\n`)
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () =>
      this.#waiting?.reject(new Error('the line was closed in the middle of an answer')),
    )
  }

  static open(job: Job): Promise<Line> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: job.port, noDelay: true }, () =>
        resolve(new Line(socket, job)),
      )
      socket.once('error', reject)
    })
  }

  /** Resolves with the bytes of the body. */
  ask(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#head = Buffer.alloc(0)
      this.#length = -1
      this.#got = 0
      this.shown = ''
      this.#socket.write(this.#request)
    })
  }

  #read(bytes: Buffer): void {
    if (this.#length >= 0) this.#body(bytes)
    else {
      this.#head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes])
      const end = this.#head.indexOf(HEAD_END)
      if (end < 0) return
      const head = this.#head.subarray(0, end).toString('latin1')
      const length = /^content-length: *(\d+)/im.exec(head)?.[1]
      if (!head.startsWith('HTTP/1.1 200 ') || length === undefined) {
        this.#waiting?.reject(new Error(`answered ${head}`))
        return
      }
      this.#length = Number(length)
      this.#body(this.#head.subarray(end + HEAD_END.length))
    }
  }

  #body(bytes: Buffer): void {
    this.#got += bytes.length
    if (this.shown.length < SHOWN_BYTES) this.shown += bytes.toString('latin1', 0, SHOWN_BYTES)
    if (this.#got === this.#length) this.#waiting?.resolve(this.#length)
    else if (this.#got > this.#length) this.#waiting?.reject(new Error('more came than was said'))
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }
}

async function run(job: Job): Promise<Done> {
  const count = job.kind === 'once' ? 1 : job.clients
  const lines = await Promise.all(Array.from({ length: count }, () => Line.open(job)))
  const times: number[] = []
  let answers = 0
  let bytes = 0
  const began = performance.now()
  const ask = async (line: Line): Promise<void> => {
    bytes += await line.ask()
    answers++
  }
  try {
    if (job.kind === 'once') for (const line of lines) await ask(line)
    else if (job.kind === 'throughput') {
      const until = began + job.seconds * 1000
      const busy = async (line: Line): Promise<void> => {
        while (performance.now() < until) await ask(line)
      }
      await Promise.all(lines.map(busy))
    } else await atRate(job, lines, ask, times)
    return { answers, bytes, ms: performance.now() - began, times, head: lines[0]?.shown ?? '' }
  } finally {
    for (const line of lines) line.close()
  }
}

/** Requests that become due at a fixed rate, whether or not those before are answered; waiting for a free line counts. */
async function atRate(
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
  lines: readonly Line[],
  ask: (line: Line) => Promise<void>,
  times: number[],
): Promise<void> {
  const free = [...lines]
  const due: number[] = []
  const total = rate * seconds
  const began = performance.now()
  let made = 0
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const serve = (): void => {
    for (let at = due[0]; at !== undefined && free.length > 0; at = due[0]) {
      due.shift()
      const line = free.pop()
      if (line === undefined) return
      const since = at
      ask(line).then(() => {
        times.push(performance.now() - since)
        free.push(line)
        if (times.length === total) resolve()
        else serve()
      }, reject)
    }
  }
  const timer = setInterval(() => {
    const now = performance.now()
    for (; made < total && began + (made * 1000) / rate <= now; made++) due.push(now)
    if (made === total) clearInterval(timer)
    serve()
  }, 1)
  try {
    await promise
  } finally {
    clearInterval(timer)
  }
}

if (process.argv[1] === import.meta.filename) {
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    const job: Job = JSON.parse(line)
    console.log(JSON.stringify(await run(job)))
  }
}
