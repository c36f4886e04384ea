/** A person of the configuration with an authenticator, enrolled in a terminal as people do it. */
import { TOTP } from 'otpauth'
import type { TestGateway } from './gateway.ts'
import { CLI } from './gateway.ts'
import type { Finished } from './process.ts'
import { openTerminal } from './tmux.ts'

export type Person = {
  readonly name: string
  approve(ticket: string): Promise<Finished>
  deny(ticket: string, reason: string): Promise<Finished>
}

const PERIOD_MS = 30_000

export async function enrolPerson(gateway: TestGateway, name: string): Promise<Person> {
  const invited = await gateway.cli(['people', 'invite', name, '--json'])
  if (invited.code !== 0) throw new Error(`people invite: ${invited.stderr}`)
  const { code }: { code: string } = JSON.parse(invited.stdout)
  const terminal = await openTerminal([
    process.execPath,
    CLI,
    'people',
    'enrol',
    '--invitation',
    code,
    '--data',
    gateway.dataDirectory,
  ])
  let codes: () => string
  try {
    const shown = await terminal.shows(/secret +([A-Z2-7]+)[\s\S]*shows now:/)
    codes = authenticator(/secret +([A-Z2-7]+)/.exec(shown)?.[1] ?? '')
    await terminal.type(codes(), 'Enter')
    await terminal.shows(new RegExp(`${name} is enrolled`))
  } finally {
    await terminal.close()
  }
  // One login for all answers: a code counts once, and the next one comes in half a minute.
  const login = await gateway.cli(['login', name, '--code', codes()])
  if (login.code !== 0) throw new Error(`login: ${login.stderr}`)
  const env = { SLUICE_LOGIN: login.stdout.trim() }
  return {
    name,
    approve: async (ticket) => gateway.cli(['approvals', 'approve', ticket], { env }),
    deny: async (ticket, reason) => gateway.cli(['approvals', 'deny', ticket, '--reason', reason], { env }),
  }
}

/** Codes that were not used before: the one after the present is accepted half a minute early. */
function authenticator(secret: string): () => string {
  const totp = new TOTP({ secret })
  let used = 0
  return () => {
    used = Math.max(Math.floor(Date.now() / PERIOD_MS), used + 1)
    return totp.generate({ timestamp: used * PERIOD_MS })
  }
}
