import { buildSchema } from 'graphql'
import { describe, expect, it } from 'vitest'
import { randomFrom, seed, tally, times } from '../../../test/support/proof.ts'
import type { Connection, LabelName, MaskingRule } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { BodyPlan, maskBody } from '../../session/index.ts'
import { MARKS } from '../../testing/marked-bodies.ts'
import { answerOf, LABELLED, markedOperation, SDL } from '../../testing/marked-graphql.ts'
import { parseTarget } from '../../wire/http/index.ts'
import { judgedRequest } from './commands.ts'
import { DescribedApi } from './described-api.ts'
import { RouteTable } from './route-table.ts'
import type { HttpSettings } from './settings.ts'
import { httpSettings } from './settings.ts'

/** Labelled fields hold markers in every encoding; what is asked for is judged as a request is, and masked in pieces. */

const schema = buildSchema(SDL)

const settings: HttpSettings = {
  ...httpSettings.parse({ upstream: { url: 'http://127.0.0.1:1' }, graphql: { schema: 'a.graphql' } }),
  described: new DescribedApi([], schema),
}
const routes = new RouteTable({
  settings,
  labels: LABELLED.map((pattern) => ({ pattern, label: brand<LabelName>('secret') })),
} as unknown as Connection<HttpSettings>)

function masked(query: string, answer: string, piece: number): string {
  const body = Buffer.from(JSON.stringify([{ query }]))
  const target = parseTarget('/graphql')
  const judged = judgedRequest(routes.find('POST', target), {
    method: 'POST',
    target,
    contentType: 'application/json',
    body,
  })
  const masks = new Map<LabelName, MaskingRule>([[brand<LabelName>('secret'), { kind: 'full' }]])
  const machine = maskBody({ kind: 'json' }, new BodyPlan(judged.rules(masks)))
  if (machine === undefined) throw new Error('no machine for JSON')
  const bytes = Buffer.from(answer)
  const out: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += piece)
    out.push(Buffer.from(machine.write(bytes.subarray(at, at + piece))))
  out.push(machine.end())
  return Buffer.concat(out).toString()
}

/** Every letter of names and values as an escape. */
function escaped(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"/g, (written) =>
    written.replaceAll(/\\.|[A-Za-z]/g, (sign) =>
      sign.length > 1 ? sign : `\\u00${sign.charCodeAt(0).toString(16)}`,
    ),
  )
}

/** A marker as it stands in a text of JSON. */
const WRITTEN = MARKS.map((mark) => JSON.stringify(mark).slice(1, -1))

describe('answers of random GraphQL operations (acceptance 3, P-05)', () => {
  it('show no marker of a labelled field, and all the rest as it was', () => {
    const random = randomFrom(seed)
    const below = (n: number): number => Math.floor(random() * n)
    const count = times({ small: 120, full: 5_000 })
    let markers = 0
    let plain = 0
    for (let n = 0; n < count; n++) {
      const query = markedOperation(below)
      const data = answerOf(query, () => MARKS[below(MARKS.length)] ?? '')
      if (data === undefined) continue
      const answer = JSON.stringify([{ data }])
      const isMarked = WRITTEN.some((mark) => answer.includes(mark))
      if (isMarked) markers++
      for (const [written, piece] of [
        [answer, 1],
        [answer, 1 + below(1_000)],
        [escaped(answer), 7],
      ] as const) {
        const shown = masked(query, written, piece)
        const read = JSON.stringify(JSON.parse(shown))
        const found = WRITTEN.filter(
          (mark) => read.includes(mark) || (written === answer && shown.includes(mark)),
        )
        expect(found, `seed ${seed}: ${query}`).toEqual([])
        if (!isMarked && !/email|name|token/.test(query)) expect(shown).toBe(written)
      }
      plain += masked(query, answer, 100).split('plain').length - 1
    }
    expect(markers).toBeGreaterThan(count / 10)
    expect(plain).toBeGreaterThan(count / 2)
    tally('operations of GraphQL', count)
  })
})
