import { z } from 'zod'
import { commandEvent, type OcsfEvent, type OpenCommand } from '../../recording/index.ts'
import { programVersion } from '../../composition/version.ts'
import type { ShownEntry } from './entries.ts'

const texts = z.array(z.string())
const identity = z.looseObject({ kind: z.string(), name: z.string(), issuer: z.string(), groups: texts })
const open = z.looseObject({
  connection: z.string(),
  protocol: z.string(),
  chain: z.array(identity),
  clientAddress: z.string(),
  program: z.string(),
  database: z.string(),
})
const intent = z.looseObject({
  n: z.number(),
  text: z.string(),
  class: z.string(),
  decision: z.string(),
  rules: texts,
  reason: z.string().exactOptional(),
  masked: texts.exactOptional(),
  columns: z.array(z.looseObject({ column: z.string(), label: z.string() })).exactOptional(),
  reads: texts.exactOptional(),
  writes: texts.exactOptional(),
})
const outcome = z.looseObject({
  n: z.number(),
  outcome: z.string(),
  tag: z.string(),
  rows: z.number(),
  bytes: z.number(),
  ms: z.number(),
})
const answer = z.looseObject({
  n: z.number(),
  ticket: z.string(),
  answer: z.string(),
  by: z.string().exactOptional(),
})

/** A recording as events, one a command, in the order in which they ended. */
export async function* ocsfEvents(
  entries: AsyncIterable<ShownEntry>,
  session: string,
): AsyncGenerator<OcsfEvent> {
  const program = programVersion()
  const flying = new Map<number, OpenCommand>()
  let opening: z.output<typeof open> | undefined
  for await (const { kind, head, time, sequence } of entries) {
    if (kind === 'open') opening = open.parse(head)
    if (opening === undefined) continue
    if (kind === 'intent') {
      const of = intent.parse(head)
      flying.set(of.n, { sequence, time, intent: of })
    } else if (kind === 'answer') {
      const of = answer.parse(head)
      const command = flying.get(of.n)
      if (command !== undefined) command.answer = of
    } else if (kind === 'outcome') {
      const of = outcome.parse(head)
      const command = flying.get(of.n)
      flying.delete(of.n)
      if (command !== undefined) yield commandEvent({ session, open: opening, program }, command, of)
    }
  }
  // Under way when the recording ended: whether it ran is not known.
  for (const command of flying.values())
    if (opening !== undefined) yield commandEvent({ session, open: opening, program }, command, undefined)
}
