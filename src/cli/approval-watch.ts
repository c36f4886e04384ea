import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import type { ApiClient } from '../api/client.ts'
import { GatewayError, isGatewayError, shownJson } from '../core/index.ts'
import type { ApprovalShown } from './approval-schema.ts'
import { approval, approvalShown } from './approval-schema.ts'
import { becameText, describe } from './approval-text.ts'
import type { Common } from './context.ts'
import { operatorClient, personClient, queryText } from './context.ts'
import { eventsIn } from './event-stream.ts'

type WatchFlags = Common & { readonly connection?: string }

const changed = z.object({ ticket: z.string(), connection: z.string(), state: z.string() })
const RETRY_MS = 1_000

/** `sluice approvals watch`: each request as it comes, and what became of it, until Ctrl-C. */
export function addWatch(group: Command): void {
  group
    .command('watch')
    .description('show each request as it comes, whole, and what becomes of it, until Ctrl-C')
    .option('--connection <name>', 'of one connection')
    .action(async (flags: WatchFlags) => {
      const watch = new Watch(flags)
      await watch.once()
      for (;;) {
        // It was there: whatever it is now, it may come back.
        process.stderr.write('The gateway does not answer any more; waiting for it.\n')
        let isBack = false
        while (!isBack) {
          await sleep(RETRY_MS)
          isBack = await watch.once().then(
            () => true,
            (error: unknown) => {
              if (isGatewayError(error) && error.code === 'upstream_unreachable') return false
              throw error
            },
          )
        }
      }
    })
}

class Watch {
  readonly #flags: WatchFlags
  /** What was shown of each request that has not ended. */
  readonly #shown = new Map<string, string>()
  #isSaid = false

  constructor(flags: WatchFlags) {
    this.#flags = flags
  }

  /** As long as the gateway is there. Throws GatewayError when it is not to begin with, or does not let this one look. */
  async once(): Promise<void> {
    const token = process.env['SLUICE_LOGIN']
    const client = token === undefined ? operatorClient(this.#flags) : await personClient(this.#flags, token)
    try {
      const events = eventsIn(await client.stream('/v1/events'))
      // What changes from here on is among the events.
      await this.#catchUp(client)
      try {
        for await (const { event, data } of events) {
          if (event !== 'approval') continue
          const { ticket, connection } = changed.parse(data)
          const { connection: only } = this.#flags
          if (only === undefined || only === connection) await this.#look(client, ticket)
        }
      } catch (error) {
        if (isGatewayError(error) && error.code !== 'upstream_unreachable') throw error
        if (error instanceof z.ZodError) throw error
      }
    } finally {
      await client.close().catch(() => undefined)
    }
  }

  /** What waits, and what became meanwhile of what waited. */
  async #catchUp(client: ApiClient): Promise<void> {
    const path = `/v1/approvals${queryText({ state: 'pending', connection: this.#flags.connection })}`
    const { approvals } = z.object({ approvals: z.array(approval) }).parse(await client.call('GET', path))
    if (!this.#isSaid && this.#flags.json !== true)
      process.stderr.write(
        `${approvals.length === 0 ? 'Nothing waits for an answer' : `${approvals.length} waiting`}. Watching, until Ctrl-C.\n\n`,
      )
    this.#isSaid = true
    const tickets = new Set([...this.#shown.keys(), ...approvals.map(({ ticket }) => ticket).reverse()])
    for (const ticket of tickets) await this.#look(client, ticket)
  }

  async #look(client: ApiClient, ticket: string): Promise<void> {
    const now = await seen(client, ticket)
    if (now === undefined) {
      this.#shown.delete(ticket)
      return
    }
    const before = this.#shown.get(ticket)
    const mark = JSON.stringify([now.state, now.answers.length, now.uses])
    if (before === mark) return
    if (isOver(now.state)) this.#shown.delete(ticket)
    else this.#shown.set(ticket, mark)
    const isNew = before === undefined && !isOver(now.state)
    if (this.#flags.json === true)
      await write(`${shownJson({ event: isNew ? 'requested' : now.state, approval: now })}\n`)
    else await write(isNew ? `${newText(now)}\n\n` : `${clock()}  ${becameText(now)}\n\n`)
  }
}

/** Undefined: it is not there any more. */
async function seen(client: ApiClient, ticket: string): Promise<ApprovalShown | undefined> {
  try {
    return approvalShown.parse(await client.call('GET', `/v1/approvals/${encodeURIComponent(ticket)}`))
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'not_found') return undefined
    throw error
  }
}

function newText(of: ApprovalShown): string {
  const urgent = of.access?.emergency === true ? 'EMERGENCY, taken by who asked: ' : ''
  return `${clock()}  ${urgent}${describe(of)}`
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8)
}

function isOver(state: string): boolean {
  return state !== 'pending' && state !== 'approved'
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve))
}
