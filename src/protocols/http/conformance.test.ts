import type { ConformanceClient, Harness, Reply } from '../../../test/conformance/suite.ts'
import { conformance } from '../../../test/conformance/suite.ts'
import { ERROR_CODES } from '../../core/index.ts'
import type { Minted } from '../../identity/index.ts'
import type { HttpReply, HttpStageClient } from '../../testing/http-stage.ts'
import { HTTP_CANARIES, httpConnection, HttpStage, UPSTREAM_TOKEN } from '../../testing/http-stage.ts'
import { configurationOf, STRICT_RULES } from '../../testing/world.ts'

const LIFE_MS = 120_000
const ALICE = { id: 1, email: HTTP_CANARIES[0], note: 'plain one', card: HTTP_CANARIES[1] }

async function start(): Promise<Harness> {
  const stage = await HttpStage.open()
  const { world } = stage
  stage
    .json('GET /customers', { items: [ALICE, { ...ALICE, id: 2 }] })
    .json('GET /customers?as=escapes', escaped({ items: [ALICE] }))
    .json('GET /customers?as=error', { items: [ALICE], error: 'something failed' }, 500)
    .json('GET /customers?as=problem', { items: [ALICE] }, 422, 'application/problem+json; charset=utf-8')
    .json('GET /customers/1', ALICE)
    .json('GET /customers/deep', {
      ...ALICE,
      a: [[{ email: HTTP_CANARIES[0] }]],
      b: { c: { email: [HTTP_CANARIES[0]] } },
    })
    .json('GET /numbers', JSON.stringify(Array.from({ length: 10_000 }, (_, i) => i)))
    .json('POST /orders/1', { ok: true })
    .json('POST /orders/2', { ok: true })
    .answer('GET /slow', () => undefined)
  let minted: Minted | undefined
  return {
    world,
    lifeMs: LIFE_MS,
    commands: {
      read: 'GET /customers',
      denied: 'DELETE /customers',
      held: ['POST /orders/1', 'POST /orders/2'],
      tooMuch: 'GET /numbers',
      slow: 'GET /slow',
    },
    maskedPaths: {
      'a list': ask('GET /customers'),
      'a list in escapes': ask('GET /customers?as=escapes'),
      'an answer with an error status': ask('GET /customers?as=error'),
      'problem details': ask('GET /customers?as=problem'),
      'one record': ask('GET /customers/1'),
      'a field at any depth': ask('GET /customers/deep'),
    },
    canaries: HTTP_CANARIES,
    clear: 'plain one',
    upstreamSecret: UPSTREAM_TOKEN,
    async connect(admission = 'good') {
      minted = await world.mint(admission === 'wrong-connection' ? 'database' : 'http', 'api', {
        ttlMs: LIFE_MS,
      })
      if (admission === 'revoked') await world.credentials.revoke(minted.credential.id, 'test')
      if (admission === 'expired') world.clock.advance(LIFE_MS + 1)
      const client = await stage.client(minted)
      const token =
        admission === 'unknown' ? `slu_c_0000000000000000_${'A'.repeat(43)}` : minted.secret.reveal()
      return clientOf(client, token, admission === 'wrong-place' ? 'nowhere' : 'api')
    },
    async revoke() {
      if (minted !== undefined) await world.credentials.revoke(minted.credential.id, 'test')
    },
    upstreamSaw: () => stage.asked.map((each) => each.request),
    loseUpstream: () => stage.cutUpstream(),
    forbidEverything: () => world.adopt(configurationOf(httpConnection(stage.upstreamPort), STRICT_RULES)),
    permitAgain: () => world.adopt(configurationOf(httpConnection(stage.upstreamPort))),
    close: () => stage.close(),
  }
}

/** The same JSON with every character of the text escaped, for who looks for values with a search for bytes. */
function escaped(value: unknown): string {
  return JSON.stringify(value).replaceAll('@', '\\u0040')
}

function ask(request: string): (client: ConformanceClient) => Promise<void> {
  return async (client) => {
    await client.send(request)
  }
}

function clientOf(client: HttpStageClient, token: string, connection: string): ConformanceClient {
  return {
    async send(command) {
      return replyOf(await client.request(command, { token, connection }))
    },
    leave: () => client.socket.end(),
    abort: () => client.socket.resetAndDestroy(),
    received: () => client.received(),
    get ended() {
      return client.ended
    },
  }
}

function replyOf({ status, headers, body, whole }: HttpReply): Reply {
  if (!whole) return { kind: 'ended' }
  const problem: unknown =
    headers['content-type'] === 'application/problem+json' && body.includes('urn:sluice')
      ? JSON.parse(body)
      : undefined
  if (typeof problem !== 'object' || problem === null || !('type' in problem)) {
    return status === 0 ? { kind: 'ended' } : { kind: 'result' }
  }
  const code = ERROR_CODES.find((each) => problem.type === `urn:sluice:error:${each}`) ?? 'internal'
  const lines = Object.entries(problem)
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join('\n')
  const ticket = 'ticket' in problem && typeof problem.ticket === 'string' ? { ticket: problem.ticket } : {}
  return { kind: 'refused', code, told: lines, ...ticket }
}

conformance('HTTP', start)
