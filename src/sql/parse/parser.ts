import { Worker } from 'node:worker_threads'
import type { ParseResult as Tree } from 'libpg-query'
import { GatewayError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { depthOf } from './condense.ts'
import type { ParserInstance, RawParse } from './instance.ts'
import { loadParserInstance } from './instance.ts'
import { asOlderServersRead } from './older-servers.ts'
import type { Token } from './tokens.ts'
import { tokensOf } from './tokens.ts'
import type { WorkerAnswer, WorkerRequest } from './parser-worker.ts'

/**
 * Text to tree with the grammar of PostgreSQL 18, hardened: a NUL byte (at which the grammar would stop reading while
 * the server refuses) and lone surrogates do not parse; short texts are parsed here, longer ones in a worker with a
 * deep stack, too long ones not at all; a parser that failed in any way but by a syntax error is thrown away.
 */
export type ParseResult =
  /** `statements` in order; none for an empty text or one of comments only. */
  | { readonly kind: 'parsed'; readonly tree: Tree }
  /** The grammar refuses it. `position` counts characters from 1, as the server's own `P` field does. */
  | { readonly kind: 'unparsed'; readonly message: string; readonly position: number | undefined }
  /** It parses, but is too deep or too large to be looked through. Its facts are those of an opaque command. */
  | { readonly kind: 'unjudged'; readonly message: string }

export interface Parser {
  /**
   * Synchronous up to LIMITS.statementInlineBytesMax, else from the worker.
   * Throws or rejects with GatewayError `limit_exceeded` (too long, too slow, too many waiting, too much for the parser).
   */
  parse(text: string): ParseResult | Promise<ParseResult>
  /** At once, whatever is waiting; `undefined` when it is too long or too much for that. */
  parseNow(text: string): ParseResult | undefined
  /** The tokens of a text that parses, comments among them; `undefined` when it is too long or too much for that. */
  scan(text: string): readonly Token[] | undefined
  /** Ends the worker; what waits is rejected. */
  close(): Promise<void>
}

/** `load` makes a fresh instance of the grammar; tests hand in ones that fail. */
export async function createParser(
  load: () => Promise<ParserInstance> = loadParserInstance,
): Promise<Parser> {
  // Two instances, so that one is at hand the moment the other has to be thrown away.
  let instance: ParserInstance | undefined = await load()
  let spare: ParserInstance | undefined = await load()
  let loading = false
  const worker = new WorkerQueue()

  const parseInline = (text: string): ParseResult => inline((current) => resultOf(current.parse(text)))

  function inline<T>(work: (instance: ParserInstance) => T): T {
    const current = instance
    if (current === undefined) {
      refill()
      throw unable('The parser is being replaced.')
    }
    try {
      return work(current)
    } catch (cause) {
      instance = spare
      spare = undefined
      refill()
      throw unable('The statement is too much for the parser.', cause)
    }
  }

  /** Loads until both instances are there. When that fails, statements are refused and each tries again. */
  function refill(): void {
    if (loading || (instance !== undefined && spare !== undefined)) return
    loading = true
    load()
      .then((fresh) => {
        if (instance === undefined) instance = fresh
        else spare = fresh
        loading = false
        refill()
      })
      .catch(() => {
        loading = false
      })
  }

  return {
    parse(text) {
      if (text === '') return { kind: 'parsed', tree: { stmts: [] } }
      // A character takes at most 3 bytes of UTF-8 per UTF-16 unit: most texts need no count.
      const bytes = text.length * 3 <= LIMITS.statementInlineBytesMax ? text.length : Buffer.byteLength(text)
      if (bytes > LIMITS.statementBytesMax) throw tooLong()
      if (text.includes('\0'))
        return { kind: 'unparsed', message: 'a NUL byte in the statement', position: undefined }
      if (!text.isWellFormed()) {
        return { kind: 'unparsed', message: 'the statement is not valid Unicode', position: undefined }
      }
      return bytes <= LIMITS.statementInlineBytesMax ? parseInline(text) : worker.parse(text)
    },
    parseNow(text) {
      if (text.length > LIMITS.definitionInlineBytesMax || text.includes('\0') || !text.isWellFormed())
        return undefined
      try {
        return parseInline(text)
      } catch (error) {
        if (error instanceof GatewayError) return undefined
        throw error
      }
    },
    scan(text) {
      if (text.length > LIMITS.statementInlineBytesMax || text.includes('\0') || !text.isWellFormed())
        return undefined
      try {
        return tokensOf(inline((current) => current.scan(text)))
      } catch (error) {
        if (error instanceof GatewayError) return undefined
        throw error
      }
    },
    close: () => worker.close(),
  }
}

function resultOf(raw: RawParse): ParseResult {
  if (raw.kind === 'error') return { kind: 'unparsed', message: raw.message, position: raw.position }
  if (depthOf(raw.json) > LIMITS.treeDepthMax) {
    return { kind: 'unjudged', message: 'The statement nests too deeply to be judged.' }
  }
  const tree: Tree = JSON.parse(asOlderServersRead(raw.json))
  return { kind: 'parsed', tree }
}

type Waiting = {
  readonly request: WorkerRequest
  readonly resolve: (result: ParseResult) => void
  readonly reject: (error: GatewayError) => void
}

/** One worker, started at first need, with a queue in front: one text at a time, each with a time limit. */
class WorkerQueue {
  #worker: Worker | undefined
  #busy: Waiting | undefined
  #timer: NodeJS.Timeout | undefined
  #queue: Waiting[] = []
  #queuedBytes = 0
  #nextId = 1
  #closed = false

  parse(text: string): Promise<ParseResult> {
    if (this.#closed) throw unable('The parser has been closed.')
    if (
      this.#queue.length >= LIMITS.parsesWaitingMax ||
      this.#queuedBytes + text.length > LIMITS.parsesWaitingBytesMax
    ) {
      throw new GatewayError('limit_exceeded', 'Too many long statements are waiting to be parsed.', {
        remedy: 'Send it again a little later.',
        retry: 'later',
      })
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ request: { id: this.#nextId++, text }, resolve, reject })
      this.#queuedBytes += text.length
      this.#next()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const waiting = this.#busy === undefined ? this.#queue : [this.#busy, ...this.#queue]
    this.#queue = []
    this.#busy = undefined
    clearTimeout(this.#timer)
    for (const each of waiting) each.reject(unable('The parser has been closed.'))
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #next(): void {
    if (this.#busy !== undefined) return
    const next = this.#queue.shift()
    if (next === undefined) {
      this.#worker?.unref()
      return
    }
    this.#queuedBytes -= next.request.text.length
    this.#busy = next
    this.#worker ??= this.#start()
    this.#worker.ref()
    this.#timer = setTimeout(() => this.#fail('The statement takes too long to parse.'), LIMITS.parseMs)
    this.#worker.postMessage(next.request)
  }

  #start(): Worker {
    // The file runs unbuilt as .ts; the build gives it an entry of its own and writes .mjs beside the bundle.
    const file = import.meta.url.endsWith('.ts') ? './parser-worker.ts' : './parser-worker.mjs'
    const worker = new Worker(new URL(file, import.meta.url), {
      resourceLimits: { stackSizeMb: 64, maxOldGenerationSizeMb: 512 },
    })
    worker.on('message', (answer: WorkerAnswer) => {
      if (worker === this.#worker && answer.id === this.#busy?.request.id) this.#settle(answer)
    })
    const died = (cause?: unknown): void => {
      if (worker === this.#worker) this.#fail('The statement is too much for the parser.', cause)
    }
    worker.on('error', died)
    worker.on('exit', () => died())
    return worker
  }

  #settle(answer: WorkerAnswer): void {
    const done = this.#busy
    if (done === undefined) return
    if (answer.kind === 'fault')
      return this.#fail('The statement is too much for the parser.', answer.message)
    this.#busy = undefined
    clearTimeout(this.#timer)
    done.resolve(fromWorker(answer))
    this.#next()
  }

  /** Ends the worker with the text it was at; the next text gets a new one. */
  #fail(message: string, cause?: unknown): void {
    const worker = this.#worker
    const done = this.#busy
    this.#worker = undefined
    this.#busy = undefined
    clearTimeout(this.#timer)
    // Ending an already dead thread cannot fail in a way that matters: it holds no state of ours.
    worker?.terminate().catch(() => undefined)
    done?.reject(unable(message, cause))
    this.#next()
  }
}

function fromWorker(answer: Exclude<WorkerAnswer, { kind: 'fault' }>): ParseResult {
  switch (answer.kind) {
    case 'tree': {
      const tree: Tree = JSON.parse(answer.json)
      return { kind: 'parsed', tree }
    }
    case 'error':
      return { kind: 'unparsed', message: answer.message, position: answer.position }
    case 'unjudged':
      return { kind: 'unjudged', message: answer.message }
  }
}

function tooLong(): GatewayError {
  const kilobytes = LIMITS.statementBytesMax / 1024
  return new GatewayError('limit_exceeded', `The statement is longer than ${kilobytes} KiB.`, {
    remedy: 'Send it in parts, or load the data with COPY.',
    retry: 'only-if-changed',
  })
}

function unable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('limit_exceeded', message, {
    remedy: 'Send a simpler statement.',
    retry: 'only-if-changed',
    cause,
  })
}
