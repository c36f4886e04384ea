import type { Facts, LabelName } from '../../../core/index.ts'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { ParseResult } from '../../../sql/index.ts'
import type { CopyFormats } from '../../../wire/postgres/index.ts'
import type { Judged } from './commands.ts'
import type { CopySearch } from './value-search.ts'
import { copySearch } from './copy-search.ts'

export type WriteBackParts = {
  readonly parse: (text: string) => ParseResult | Promise<ParseResult>
  /** Whether this value is one that the gateway put in place of a value with this label. */
  readonly recognises: (value: Uint8Array, label: LabelName) => boolean
}

/**
 * Who reads masked values, changes something and writes the row back would destroy what the masks stand for. A
 * statement that stores into labelled columns is held against its own literals and parameters, whichever column they
 * are for: what looks like a mask has no business in such a statement at all. Data of COPY is looked at column by column.
 */
export class WriteBack {
  readonly #parts: WriteBackParts

  constructor(parts: WriteBackParts) {
    this.#parts = parts
  }

  /** Throws GatewayError `denied` for literals, or else these parameters, that would write a masked value. */
  check({ text, judgement }: Judged, parameters?: readonly (Uint8Array | null)[]): void {
    const { stores } = judgement.facts
    if (stores.length === 0 || judgement.decision.kind === 'deny') return
    for (const value of parameters ?? this.#literals(text)) {
      const label = value === null ? undefined : stores.find((each) => this.#parts.recognises(value, each))
      if (label !== undefined) throw refused(label)
    }
  }

  /** The server begins to take rows of COPY for a statement of a batch: what they are looked through with. */
  copyBegins(facts: Facts, statement: number, formats: CopyFormats): CopySearch | undefined {
    const copyIn = facts.statements[statement]?.copyIn
    if (copyIn === undefined) return undefined
    return copySearch(copyIn, formats, (labels) => (value) => {
      const label = labels.find((each) => this.#parts.recognises(value, each))
      if (label !== undefined) throw refused(label)
    })
  }

  #literals(text: string): Buffer[] {
    // In a text too long to be parsed at once, what stands between its quotes is near enough for a guard.
    const found =
      Buffer.byteLength(text) > LIMITS.statementInlineBytesMax
        ? quotedIn(text)
        : literalsIn(this.#parts.parse(text))
    return found.map((each) => Buffer.from(each))
  }
}

/** The shapes of masks that need no key to be known: `[masked]`, and a partial value. */
export function looksMasked(value: Uint8Array): boolean {
  const text = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, 1_000))
    .toString('utf8')
    .trim()
  return (
    /^"?\[masked\]"?$/.test(text) ||
    /^.{0,2}\*{3,}@/.test(text) ||
    /^\*{3,}.{0,16}$/.test(text) ||
    /^.{1,16}\*{3,}$/.test(text)
  )
}

function refused(label: LabelName): GatewayError {
  return new GatewayError(
    'denied',
    `Do not write masked values back: this statement would store one in data labelled ${label.slice(0, 60)}.`,
    {
      remedy: 'Leave that column out, or give the real value. A masked one would destroy what it stands for.',
      retry: 'only-if-changed',
    },
  )
}

/** Every text constant of a statement. */
function literalsIn(parsed: ParseResult | Promise<ParseResult>): string[] {
  const found: string[] = []
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) walk(each)
    else if (typeof value === 'object' && value !== null) {
      for (const [key, part] of Object.entries(value)) {
        if (key === 'sval' && typeof part === 'object' && part !== null && typeof part.sval === 'string')
          found.push(part.sval)
        else walk(part)
      }
    }
  }
  if (!(parsed instanceof Promise) && parsed.kind === 'parsed') walk(parsed.tree.stmts)
  return found
}

function quotedIn(text: string): string[] {
  const quoted = [...text.matchAll(/'((?:[^']|'')*)'|\$(\w*)\$([\s\S]*?)\$\2\$/g)]
  return quoted.map(([, plain, , dollars]) => plain?.replaceAll("''", "'") ?? dollars ?? '')
}
