/** `sluice approvals watch`, as who answers has it open: what comes, what becomes of it, until Ctrl-C. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { beforeAll, describe, expect, test } from 'vitest'
import { CLI, startGateway } from '../support/gateway.ts'
import { cleanEnvironment } from '../support/process.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Shop } from './company.ts'
import { startShop } from './company.ts'

type Watcher = { readonly child: ChildProcess; readonly out: () => string; readonly err: () => string }

describe('watching approvals', () => {
  const later = teardown()
  let shop: Shop

  beforeAll(async () => {
    shop = await startShop()
    later(() => shop.stop())
  }, 120_000)

  async function watch(
    args: readonly string[] = [],
    login?: string,
    data = shop.api.dataDirectory,
  ): Promise<Watcher> {
    const child = spawn(process.execPath, [CLI, 'approvals', 'watch', ...args], {
      env: {
        ...cleanEnvironment(),
        SLUICE_DATA: data,
        ...(login === undefined ? {} : { SLUICE_LOGIN: login }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
    later(() => {
      child.kill('SIGKILL')
    })
    return { child, out: () => said.out, err: () => said.err }
  }
  const says = (what: string, text: () => string, part: string) =>
    eventually(what, () => Promise.resolve(text().includes(part) || undefined), 60_000)

  test('shows what waits, what comes, and what becomes of it; by the operator socket and with a login', async () => {
    const client = await shop.client()
    const first = client.query("UPDATE orders SET state = 'early' WHERE id = 1")
    const early = await shop.ticketOf("'early'")
    const texts = await watch()
    const lines = await watch(['--json', '--connection', 'shop'], shop.login('eve'))
    await says('what waits already', texts.out, early)
    await says('what waits already', lines.out, early)
    expect(texts.err()).toContain('1 waiting. Watching, until Ctrl-C.')
    expect(texts.out()).toContain("| UPDATE orders SET state = 'early' WHERE id = 1")
    expect(texts.out()).toContain(`sluice approvals approve ${early}`)

    const other = await shop.client('plain')
    const second = other.query('DELETE FROM late').catch((error: unknown) => error)
    const came = await shop.ticketOf('DELETE FROM late')
    await says('what comes', texts.out, came)
    await shop.as('ada', 'POST', `/v1/approvals/${came}/answer`, { verdict: 'refuse', reason: 'no need' })
    await second
    await says('what became of it', texts.out, `${came}  refused (refuse by person:ada: no need)`)

    await shop.approve("'early'")
    await first
    await says('its use', texts.out, `${early}  used`)
    await says('its use', lines.out, '"event":"used"')
    const told = lines
      .out()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; approval: { ticket: string } })
    // One object a line, of this connection only; values that a login may see and the socket does not are in it.
    expect(new Set(told.map(({ approval }) => approval.ticket))).toEqual(new Set([early]))
    expect(told[0]?.event).toBe('requested')
    for (const { child } of [texts, lines]) {
      child.kill('SIGINT')
      await once(child, 'close')
    }
  })

  test('says that the gateway has gone, and goes on when it is back', async () => {
    const config = `listen: { postgres: { port: 0 } }
identities:
  local: [{ name: agent, kind: agent }]
connections:
  crm:
    protocol: postgres
    upstream: { host: 127.0.0.1, port: 1, user: app, password: "\${store:crm}", sslmode: disable }
    databases: [crm]
approvals:
  access:
    repair: { who: everyone, on: [crm] }
rules:
  - { name: repair, who: { access: [repair] }, on: [crm], permit: { run: [read], unreviewed: [read] } }
`
    const gateway = await startGateway({ config })
    const texts = await watch([], undefined, gateway.dataDirectory)
    await says('that it watches', texts.err, 'Watching')
    const back = await gateway.restart()
    later(() => back.stop())
    await says('that it has gone', texts.err, 'The gateway does not answer any more; waiting for it.')
    const asked = await back.cli(['approvals', 'request', 'repair', '--as', 'agent', '--reason', 'it broke'])
    expect(asked.stderr).toBe('')
    await says('what comes then', texts.out, 'agent:agent wants to have the access repair on crm')
    texts.child.kill('SIGINT')
    await once(texts.child, 'close')
  })

  test('a gateway that is not there to begin with is an error', async () => {
    const child = spawn(process.execPath, [CLI, 'approvals', 'watch', '--data', '/nowhere'], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    const [code] = await once(child, 'close')
    expect(code).not.toBe(0)
    expect(said).toContain('The gateway does not answer.')
  })
})
