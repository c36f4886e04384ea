/** Every way in which the gateway logs in to a real server, and every one that it has to refuse. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import { mintDsn } from '../support/mint.ts'
import { MAJORS } from '../support/postgres.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import type { UpstreamStage } from './stage.ts'
import { ROLE_PASSWORD, SERVER_NAME, startUpstream } from './stage.ts'

const WRONG_PASSWORD = 'not-the-secret-0815'

type Case = {
  /** What the connection says besides host, port and sslrootcert. */
  readonly settings: string
  /** 127.0.0.1, which the certificate does not name, unless told otherwise. */
  readonly host?: string
  readonly trusts?: 'authority' | 'otherAuthority' | 'system'
  /** What of `SELECT ssl` the server says of this session; or what the client is told. */
  readonly expected: { readonly ssl: boolean } | RegExp
  /** Cases of a server without TLS are asked while it is off. */
  readonly without?: true
}

const login = (user: string, password = 'SLUICE_TEST_RIGHT') =>
  `user: ${user}, password: "\${env:${password}}"`
const NO_TLS = /The upstream does not speak TLS/
const NOT_TRUSTED = /not signed by a trusted authority/
const NO_BINDING = /channel binding/i

const CASES: Readonly<Record<string, Case>> = {
  // What the server asks for.
  'scram outside TLS': { settings: `${login('by_scram')}, sslmode: disable`, expected: { ssl: false } },
  'scram inside TLS': { settings: `${login('by_scram')}, sslmode: require`, expected: { ssl: true } },
  'md5 outside TLS': { settings: `${login('by_md5')}, sslmode: disable`, expected: { ssl: false } },
  'md5 inside TLS': { settings: `${login('by_md5')}, sslmode: require`, expected: { ssl: true } },
  'a clear password outside TLS': {
    settings: `${login('by_clear')}, sslmode: disable`,
    expected: /asks for a password in clear outside TLS/,
  },
  'a clear password inside TLS': {
    settings: `${login('by_clear')}, sslmode: require`,
    expected: { ssl: true },
  },
  trust: { settings: 'user: by_trust, sslmode: disable', expected: { ssl: false } },
  'a client certificate': {
    settings: 'user: by_cert, sslmode: verify-ca, sslcert: "${file:CLIENT}", sslkey: "${file:CLIENT_KEY}"',
    expected: { ssl: true },
  },
  'a client certificate that was never given': {
    settings: 'user: by_cert, sslmode: verify-ca',
    expected: /valid client certificate/,
  },
  "a client certificate of a stranger's": {
    settings:
      'user: by_cert, sslmode: verify-ca, sslcert: "${file:STRANGER}", sslkey: "${file:STRANGER_KEY}"',
    expected: /TLS with the upstream failed|closed the connection before the session began/,
  },
  'no password where one is asked for': {
    settings: 'user: by_scram, sslmode: disable',
    expected: /asks for a password and this connection has none/,
  },
  'the wrong password, scram': {
    settings: `${login('by_scram', 'SLUICE_TEST_WRONG')}, sslmode: require`,
    expected: /password authentication failed/,
  },
  'the wrong password, md5': {
    settings: `${login('by_md5', 'SLUICE_TEST_WRONG')}, sslmode: disable`,
    expected: /password authentication failed/,
  },
  'the wrong password, in clear': {
    settings: `${login('by_clear', 'SLUICE_TEST_WRONG')}, sslmode: require`,
    expected: /password authentication failed/,
  },
  'a role that is let in by TLS only': {
    settings: `${login('by_tls')}, sslmode: disable`,
    expected: /no pg_hba.conf entry/,
  },
  // How far the server's identity is checked.
  prefer: { settings: `${login('by_tls')}, sslmode: prefer`, expected: { ssl: true } },
  'require, authority unknown': {
    settings: `${login('by_tls')}, sslmode: require`,
    trusts: 'system',
    expected: { ssl: true },
  },
  'require, given another authority': {
    settings: `${login('by_tls')}, sslmode: require`,
    trusts: 'otherAuthority',
    expected: NOT_TRUSTED,
  },
  'verify-ca, another name': { settings: `${login('by_tls')}, sslmode: verify-ca`, expected: { ssl: true } },
  'verify-ca, another authority': {
    settings: `${login('by_tls')}, sslmode: verify-ca`,
    trusts: 'otherAuthority',
    expected: NOT_TRUSTED,
  },
  'verify-ca, no authority given': {
    settings: `${login('by_tls')}, sslmode: verify-ca`,
    trusts: 'system',
    expected: NOT_TRUSTED,
  },
  'verify-full, another name': {
    settings: `${login('by_tls')}, sslmode: verify-full`,
    expected: /certificate is for another name/,
  },
  'verify-full, its name': {
    settings: `${login('by_tls')}, sslmode: verify-full`,
    host: SERVER_NAME,
    expected: { ssl: true },
  },
  'verify-full, its name, another authority': {
    settings: `${login('by_tls')}, sslmode: verify-full`,
    host: SERVER_NAME,
    trusts: 'otherAuthority',
    expected: NOT_TRUSTED,
  },
  'nothing said, its name': { settings: login('by_tls'), host: SERVER_NAME, expected: { ssl: true } },
  'nothing said, another name': { settings: login('by_tls'), expected: /certificate is for another name/ },
  // Channel binding.
  'bound, scram inside TLS': {
    settings: `${login('by_tls')}, sslmode: require, channelBinding: require`,
    expected: { ssl: true },
  },
  'bound, scram outside TLS': {
    settings: `${login('by_scram')}, sslmode: disable, channelBinding: require`,
    expected: NO_BINDING,
  },
  'bound, md5 inside TLS': {
    settings: `${login('by_md5')}, sslmode: require, channelBinding: require`,
    expected: NO_BINDING,
  },
  'bound, a clear password inside TLS': {
    settings: `${login('by_clear')}, sslmode: require, channelBinding: require`,
    expected: NO_BINDING,
  },
  'bound, trust': {
    settings: 'user: by_trust, sslmode: require, channelBinding: require',
    expected: NO_BINDING,
  },
  // A server that speaks no TLS.
  'without TLS: require': {
    settings: `${login('by_scram')}, sslmode: require`,
    expected: NO_TLS,
    without: true,
  },
  'without TLS: verify-ca': {
    settings: `${login('by_scram')}, sslmode: verify-ca`,
    expected: NO_TLS,
    without: true,
  },
  'without TLS: verify-full': {
    settings: `${login('by_scram')}, sslmode: verify-full`,
    host: SERVER_NAME,
    expected: NO_TLS,
    without: true,
  },
  'without TLS: prefer': {
    settings: `${login('by_scram')}, sslmode: prefer`,
    expected: { ssl: false },
    without: true,
  },
  'without TLS: prefer, a clear password': {
    settings: `${login('by_clear')}, sslmode: prefer`,
    expected: /asks for a password in clear outside TLS/,
    without: true,
  },
  'without TLS: prefer, bound': {
    settings: `${login('by_scram')}, sslmode: prefer, channelBinding: require`,
    expected: NO_BINDING,
    without: true,
  },
}

const names = Object.keys(CASES)
const nameOf = (name: string) => `c${names.indexOf(name)}`

function connectionOf(name: string, of: Case, { server, files }: UpstreamStage): string {
  const settings = of.settings
    .replace('${file:CLIENT}', `\${file:${files.clientCertificate}}`)
    .replace('${file:CLIENT_KEY}', `\${file:${files.clientKey}}`)
    .replace('${file:STRANGER}', `\${file:${files.strangerCertificate}}`)
    .replace('${file:STRANGER_KEY}', `\${file:${files.strangerKey}}`)
  const trusts = of.trusts ?? 'authority'
  const authority = trusts === 'system' ? '' : `, sslrootcert: "\${file:${files[trusts]}}"`
  return `  ${nameOf(name)}:
    protocol: postgres
    upstream: { host: ${of.host ?? server.host}, port: ${server.port}, ${settings}${authority} }
    databases: [postgres]`
}

describe.each(MAJORS)('to a server of PostgreSQL %i', (major) => {
  const later = teardown()
  let stage: UpstreamStage
  let gateway: TestGateway
  beforeAll(async () => {
    const place = await mkdtemp(join(tmpdir(), 'sluice-upstream-'))
    later(() => rm(place, { recursive: true, force: true }))
    stage = await startUpstream(major, place)
    later(() => stage.stop())
    gateway = await startGateway({
      config: `listen: { postgres: { port: 0 } }
identities: { local: [{ name: tester, kind: service }] }
connections:
${names.map((name) => connectionOf(name, CASES[name] ?? CASE_MISSING, stage)).join('\n')}
rules:
  - { name: all, who: everyone, on: all, permit: { run: all, unreviewed: all, unlimited: true } }
`,
      env: { SLUICE_TEST_RIGHT: ROLE_PASSWORD, SLUICE_TEST_WRONG: WRONG_PASSWORD },
    })
    later(() => gateway.stop())
  })

  async function answered(name: string, of: Case): Promise<void> {
    const dsn = await mintDsn(gateway, nameOf(name), 'tester')
    const done = await psql(dsn, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', ['-At'])
    if (of.expected instanceof RegExp) {
      expect(done.stderr).toMatch(of.expected)
      expect(done.code).toBe(2)
      expect(done.stdout).toBe('')
    } else {
      expect(done).toEqual({ code: 0, stdout: of.expected.ssl ? 't\n' : 'f\n', stderr: '' })
    }
    for (const secret of [ROLE_PASSWORD, WRONG_PASSWORD]) {
      expect(done.stderr).not.toContain(secret)
      expect(gateway.stderr()).not.toContain(secret)
    }
  }

  const withTls = Object.entries(CASES).filter(([, of]) => of.without !== true)
  test.each(withTls)('%s', answered)

  describe('that speaks no TLS', () => {
    beforeAll(() => stage.tls(false))
    const withoutTls = Object.entries(CASES).filter(([, of]) => of.without === true)
    test.each(withoutTls)('%s', answered)
  })
})

const CASE_MISSING: Case = { settings: '', expected: /./ }
