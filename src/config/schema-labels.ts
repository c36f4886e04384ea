import { z } from 'zod'
import type { MaskingRule } from '../core/index.ts'
import { BUCKET_UNITS } from '../core/index.ts'
import type { References } from './references.ts'
import type { Path } from './tree.ts'

/** Labels and how each is masked, as written; and the rules they become. */

const KEPT_CHARACTERS_MAX = 16
const PREFIX = /^[a-z0-9_-]{0,16}$/

const partial = z.strictObject({
  kind: z.literal('partial'),
  of: z.enum(['email', 'phone', 'card', 'name', 'first', 'last']),
  keep: z.int().min(1).max(KEPT_CHARACTERS_MAX).optional(),
})

const maskObject = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('null') }),
  z.strictObject({ kind: z.literal('full') }),
  z.strictObject({ kind: z.literal('constant'), text: z.string().max(256) }),
  partial,
  z.strictObject({
    kind: z.literal('hash'),
    prefix: z
      .string()
      .regex(PREFIX, 'expected up to 16 small letters, digits, - and _')
      .default('h_')
      .describe('Stands in front of every hash. Default h_.'),
  }),
  z.strictObject({
    kind: z.literal('pseudonym'),
    of: z.enum(['email', 'phone', 'name', 'digits', 'uuid']),
  }),
  z.strictObject({ kind: z.literal('year') }),
  z.strictObject({
    kind: z.literal('bucket'),
    size: z.int().min(1).max(1_000_000_000_000).default(10).describe('The width for numbers. Default 10.'),
    unit: z.enum(BUCKET_UNITS).default('month').describe('The unit for dates and times. Default month.'),
  }),
])

const mask = z.union([z.enum(['full', 'null', 'hash', 'year']), maskObject])

export const label = z.strictObject({
  mask: mask.default('full').describe('How values are hidden from whoever may not see them.'),
  description: z.string().max(1000).optional(),
})

type MaskBlock = z.output<typeof mask>

/** What was written as a rule. */
export function maskingRule(block: MaskBlock, path: Path, references: References): MaskingRule {
  if (block === 'hash') return { kind: 'hash', prefix: 'h_' }
  if (typeof block === 'string') return { kind: block }
  return block.kind === 'partial' ? partialRule(block, path, references) : block
}

function partialRule(block: z.output<typeof partial>, path: Path, references: References): MaskingRule {
  const { of, keep } = block
  if (of === 'first' || of === 'last') return { kind: 'partial', of, keep: keep ?? 1 }
  if (keep !== undefined) {
    references.refuse([...path, 'keep'], `expected no "keep" for ${NAMED[of]}`, 'remove it')
  }
  return { kind: 'partial', of }
}

const NAMED = {
  email: 'an e-mail address',
  phone: 'a phone number',
  card: 'a card number',
  name: 'a name',
} as const
