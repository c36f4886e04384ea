import type { Connection } from '../../core/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { Explanation, ExplainQuestion } from '../../session/index.ts'
import { searcherOf } from '../../upstream-credentials/index.ts'
import { parseTarget } from '../../wire/http/index.ts'
import { judgedRequest } from './commands.ts'
import { found } from './requests/outward.ts'
import { routesOf, typeOf } from './rejudge.ts'
import type { HttpSettings } from './settings.ts'

/**
 * What a request would come to. Its text is `GET /customers?limit=10`, or `POST /graphql` with an empty line and the body behind
 * it. Nothing is sent. Throws GatewayError for what is no request, or one that would be refused before any rule.
 */
export async function explainRequest(
  connection: Connection<HttpSettings>,
  { text, decide, masks: known = [] }: ExplainQuestion,
  secrets: readonly string[],
): Promise<Explanation> {
  const [, method, written, rest = ''] = /^([A-Z]+) (\S+)[ \t]*(?:\r?\n\r?\n([\s\S]*))?\s*$/.exec(text) ?? []
  if (method === undefined || written === undefined) {
    throw new GatewayError('invalid', 'Write a request such as GET /customers?limit=10.', {
      remedy: 'A body stands behind an empty line.',
      retry: 'only-if-changed',
    })
  }
  const target = parseTarget(written)
  const body = Buffer.from(rest)
  const route = routesOf(connection).find(method, target)
  const outward = await found(
    { target: written, headers: [], body },
    { masks: known, secrets: searcherOf(secrets) },
  )
  const { facts } = judgedRequest(route, { method, target, contentType: typeOf(body), body, outward })
  const decision = decide(facts)
  const masks = decision.kind === 'deny' ? undefined : decision.masks
  const outputs = (facts.columns ?? []).map(({ column, label }) => {
    const mask = masks?.get(label)
    return {
      statement: 1,
      name: column,
      labels: [label],
      computed: false,
      ...(mask === undefined ? {} : { mask }),
    }
  })
  return { facts, decision, outputs }
}
