import { z } from 'zod'
import { LIMITS } from '../core/index.ts'
import { isKeyName, parseVerifierKey } from '../evidence/note/keys.ts'
import { nodeSha256 } from '../evidence/system/sha256.ts'
import { recordingStore } from './schema-bucket.ts'
import { outlets } from './schema-stream.ts'
import { duration, line, size } from './values.ts'

const DAY_MS = 24 * 60 * 60 * 1000

const url = line('a URL', 2048).refine(
  isHttpUrl,
  'expected a URL that begins with https:// or http://; leave out user names, passwords and what follows #',
)

const witness = z.strictObject({
  url: url.describe('Its submission prefix: checkpoints are posted to URL/add-checkpoint.'),
  key: line('the public key of a witness', 512)
    .refine(
      isWitnessKey,
      'expected the public key of a witness; copy all of what it prints: NAME+8 hexadecimal digits+base 64',
    )
    .describe('Its public key (vkey).'),
})

/** What is kept of what happens here, and who is told of it. */
export const recording = z.strictObject({
  log: z
    .strictObject({
      name: line('the name of a log', LIMITS.keyNameBytesMax)
        .refine(isKeyName, 'expected a name without spaces and +; write it like gateway.example.com/log')
        .optional()
        .describe('What the log is called, and the key that signs it; a log that is there keeps its name.'),
    })
    .prefault({}),
  witnesses: z
    .array(witness)
    .max(LIMITS.witnessesMax)
    .default([])
    .describe('Who is asked to cosign the checkpoints of the log.'),
  publish: z
    .strictObject({
      file: line('a path', 4096).optional().describe('A file that is replaced with each checkpoint.'),
      url: url.optional().describe('A URL that each checkpoint is posted to.'),
      stdout: z.boolean().default(false).describe('Print each checkpoint to the standard output.'),
      every: duration({ min: 1_000, max: 24 * 60 * 60 * 1_000 })
        .default(10_000)
        .describe('At most one checkpoint in this time. Default 10s.'),
    })
    .prefault({})
    .describe('Where checkpoints are published.'),
  retention: z
    .strictObject({
      after: duration({ min: DAY_MS, max: 36_500 * DAY_MS })
        .optional()
        .describe('Recordings of sessions that ended longer ago are deleted. Kept for good when absent.'),
      size: size({ min: 1024 ** 2, max: 1024 ** 5 })
        .optional()
        .describe('Session files of more than this together: the oldest are deleted.'),
      payloads: z
        .array(
          z.strictObject({
            after: duration({ min: DAY_MS, max: 36_500 * DAY_MS }).describe(
              'Removed when the session has ended longer ago.',
            ),
            labels: z
              .array(line('a label'))
              .min(1)
              .optional()
              .describe(
                'Only what may hold values of columns with these labels: sealed values and results. All payloads when absent.',
              ),
          }),
        )
        .max(LIMITS.retentionRulesMax)
        .default([])
        .describe(
          'Payloads (statements, parameters, results) that go before the recording does: its entries and their proof stay.',
        ),
      hold: z
        .strictObject({
          sessions: z
            .array(
              line('a session id', 26).regex(
                /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/,
                'expected the id of a session; copy all of its 26 letters and digits',
              ),
            )
            .default([]),
          identities: z.array(line('an identity', 600)).default([]),
          connections: z.array(line('the name of a connection')).default([]),
        })
        .prefault({})
        .describe('Legal hold: what is never deleted.'),
    })
    .prefault({})
    .describe('How long recordings are kept.'),
  stream: outlets,
  store: recordingStore
    .optional()
    .describe('An object store (S3) that recordings are brought to as they are sealed.'),
})

function isHttpUrl(text: string): boolean {
  const parsed = URL.parse(text)
  if (parsed === null || parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') return false
  return parsed.protocol === 'https:' || parsed.protocol === 'http:'
}

function isWitnessKey(text: string): boolean {
  try {
    return parseVerifierKey(nodeSha256, text).type === 'cosignature'
  } catch {
    return false
  }
}
