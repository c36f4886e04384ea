/**
 * A vendor's API behind a gateway, for clients of that vendor: they are given another address and another key and nothing else. All that
 * comes to them passes a tap, so that what they saw can be searched.
 */
import { expect } from 'vitest'
import type { ApiClient } from '../../../src/api/client.ts'
import type { Tap } from '../../abuse/tap.ts'
import { startTap } from '../../abuse/tap.ts'
import { base64Forms, operatorOf } from '../../abuse/world.ts'
import type { TestGateway } from '../../support/gateway.ts'
import { startGateway } from '../../support/gateway.ts'
import { logIn } from '../../support/login.ts'
import { eventually } from '../../support/wait.ts'
import type { Answering, StandIn } from './stand-in.ts'
import { startStandIn } from './stand-in.ts'

/** The key that the vendor gave, and that no client may meet. */
export const REAL_KEY = 'sk_live_q7Zr41KpWn08sVtY'

export type StageOptions = {
  /** What the API wants to see, with the real key in it. */
  readonly authorization: string
  readonly answer: Answering
  /** The settings of the connection behind `protocol: http`, with `PORT` where the port of the API stands and `KEY` for its key. */
  readonly connection: string
  readonly files?: Readonly<Record<string, string>>
}

export type Stage = {
  readonly gateway: TestGateway
  readonly api: StandIn
  readonly tap: Tap
  /** The base URL for clients, without a slash at the end. */
  readonly url: string
  /** The key for clients. */
  readonly token: string
  /** Waits until a request with this in its target is held, sees that the API has had none with `sent` in it, and approves. */
  approve(mark: string, sent?: string): Promise<void>
  /** The API was shown the real key each time and never the client's; no byte to a client has the real key or one of `hidden`. */
  expectSealed(hidden: readonly string[]): void
  stop(): Promise<void>
}

export async function startStage(options: StageOptions): Promise<Stage> {
  const undo: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const step of undo.toReversed()) await step()
  }
  const api = await startStandIn(options.authorization, options.answer)
  undo.push(() => api.stop())
  try {
    const gateway = await startGateway({
      config: configuration(options.connection, api.port),
      env: { VENDOR_KEY: REAL_KEY },
      ...(options.files === undefined ? {} : { files: options.files }),
    })
    undo.push(() => gateway.stop())
    const tap = await startTap(gateway.ports['http'] ?? 0)
    undo.push(() => tap.stop())
    const operator = operatorOf(gateway)
    undo.push(() => operator.close())
    const approver = await logIn(gateway.dataDirectory, 'ada')
    undo.push(() => approver.close())
    const token = await gateway.token('vendor', 'agent')
    return {
      gateway,
      api,
      tap,
      url: `http://127.0.0.1:${tap.port}/c/vendor`,
      token,
      async approve(mark, sent = mark) {
        // The program of another language takes a while to start on a busy machine.
        const ticket = await eventually(`a held request with ${mark}`, () => pending(operator, mark), 60_000)
        expect(api.seen.filter((each) => `${each.target} ${each.body}`.includes(sent))).toEqual([])
        await approver.call('POST', `/v1/approvals/${ticket}/answer`, { verdict: 'approve' })
      },
      expectSealed(hidden) {
        expect(api.seen.length).toBeGreaterThan(0)
        for (const { headers, path, query, body } of api.seen) {
          expect(headers.authorization).toBe(options.authorization)
          expect(JSON.stringify([headers, path, [...query], body])).not.toContain(token)
        }
        const shown = tap.toClients().toString('latin1')
        expect(shown.length).toBeGreaterThan(0)
        const hex = Buffer.from(REAL_KEY).toString('hex')
        for (const each of [REAL_KEY, hex, ...base64Forms(REAL_KEY), ...hidden])
          expect(shown.includes(each), each).toBe(false)
        expect(gateway.stderr()).toBe('')
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function pending(operator: ApiClient, mark: string): Promise<string | undefined> {
  const answer = await operator.call('GET', '/v1/approvals')
  const { approvals } = answer as { approvals: readonly { ticket: string; state: string; text: string }[] }
  return approvals.find((each) => each.state === 'pending' && each.text.includes(mark))?.ticket
}

/** Reading goes at once, writing waits for a person, and what makes credentials is refused. */
function configuration(connection: string, port: number): string {
  return `listen:
  http: { address: 127.0.0.1, port: 0 }
  api: { port: 0 }
identities:
  local:
    - { name: agent, kind: agent }
    - { name: ada, kind: person, roles: [approver] }
labels:
  pii.email: { mask: full }
connections:
  vendor:
    protocol: http
${connection
  .replaceAll('PORT', String(port))
  .replaceAll('KEY', '"${env:VENDOR_KEY}"')
  .replaceAll(/^(?=.)/gm, '    ')}
rules:
  - name: reads at once, writes after a look, no credentials
    who: everyone
    on: [vendor]
    permit: { run: [read, write], unreviewed: [read], unlimited: true }
`
}
