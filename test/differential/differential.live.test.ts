/** Whatever the corpus asks, in whatever way, the gateway's answer is the server's own, message for message. */
import { beforeAll, describe, expect, test } from 'vitest'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { STATEMENTS } from './corpus.ts'
import { MODES } from './modes.ts'
import type { Target } from './raw-client.ts'
import {
  DIFFERENTIAL_DATABASE,
  DIFFERENTIAL_PASSWORD,
  DIFFERENTIAL_ROLE,
  prepareTemplate,
  runSide,
} from './sides.ts'

test('the corpus is as large as promised', () => {
  expect(STATEMENTS).toBeGreaterThanOrEqual(200)
})

describe.each(MAJORS)('P-01 transparent: PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let direct: Target
  let through: Target

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
    await prepareTemplate(server)
    gateway = await startGateway({
      config: allowAll({ diff: { server, user: DIFFERENTIAL_ROLE, databases: [DIFFERENTIAL_DATABASE] } }),
      env: { [UPSTREAM_PASSWORD]: DIFFERENTIAL_PASSWORD },
    })
    later(() => gateway.stop())
    direct = {
      host: server.host,
      port: server.port,
      user: DIFFERENTIAL_ROLE,
      password: DIFFERENTIAL_PASSWORD,
      database: DIFFERENTIAL_DATABASE,
    }
    const dsn = new URL(await gateway.dsn('diff', TEST_IDENTITY))
    through = {
      host: dsn.hostname,
      port: Number(dsn.port),
      user: decodeURIComponent(dsn.username),
      password: decodeURIComponent(dsn.password),
      database: DIFFERENTIAL_DATABASE,
    }
  })

  test.each(MODES)('$name', async (mode) => {
    const expected = await runSide(server, direct, mode)
    const seen = await runSide(server, through, mode)
    let messages = 0
    for (const [section, lines] of expected) {
      messages += lines.length
      expect.soft(seen.get(section), section).toEqual(lines)
    }
    expect(messages).toBeGreaterThan(1_000)
    expect(gateway.stderr()).toBe('')
  })
})
