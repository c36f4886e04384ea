/**
 * A real gateway in front of the real sample, whose protected values hold marks that occur nowhere else: wherever a
 * mark is found, a protected value has got out. Leaves what is tried against it to the tests.
 */
import { ApiClient } from '../../src/api/client.ts'
import type { SampleApi } from '../../src/sample/index.ts'
import { CRM_ROLE, makeCompany, prepareCrm, sampleConfiguration, startApi } from '../../src/sample/index.ts'
import type { Target } from '../differential/raw-client.ts'
import type { GatewayOptions, TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { Major, TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'

/** One of these is in every protected value of the sample; masks that keep a little keep none of it. */
export const MARKS = ['qzvmail', 'qzvphone', 'qzvname', 'qzviban', 'qzvapikey', '48151623'] as const

export const SECRETS = {
  // Every sign that some notation has to write in another way.
  role: 'crm"role"\\pa/ss+wurd&=%41#3f9a',
  superuser: 'builder-role-password-77c1',
  api: 'crm-api-token-91d2',
} as const

/** Agents that may see no label: one as in the sample, one that may write, one that may do anything else, one that may filter besides. */
export const AGENTS = ['support-agent', 'writer', 'builder', 'analyst'] as const
export type Agent = (typeof AGENTS)[number]

/** What is used of a gateway here: one that runs in this process has no more. */
export type UsedGateway = Pick<TestGateway, 'dataDirectory' | 'dsn' | 'ports' | 'stderr' | 'stop'>
export type Starter<Gateway> = (options: GatewayOptions) => Promise<Gateway>

export type World<Gateway = TestGateway> = {
  readonly server: TestServer
  readonly api: SampleApi
  readonly gateway: Gateway
  readonly operator: ApiClient
  stop(): Promise<void>
}

export type WorldOptions = {
  readonly major?: Major
  readonly upstreamUrl?: string
  /** Changes the text of the configuration. */
  readonly edit?: (text: string) => string
  readonly env?: Readonly<Record<string, string>>
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  return await startWorldWith(startGateway, options)
}

/** The same with a gateway that is started in another way. */
export async function startWorldWith<Gateway extends UsedGateway>(
  start: Starter<Gateway>,
  options: WorldOptions = {},
): Promise<World<Gateway>> {
  const server = await startTestServer(options.major ?? 18)
  const company = markedCompany()
  await prepareCrm(server, { superuser: server.password, role: SECRETS.role }, company)
  await server.role('builder', SECRETS.superuser, { superuser: true })
  const api = await startApi({ company, token: SECRETS.api })
  const text = configuration(server, options.upstreamUrl ?? api.url)
  const gateway = await start({
    config: options.edit === undefined ? text : options.edit(text),
    env: {
      CRM_PASSWORD: SECRETS.role,
      BUILDER_PASSWORD: SECRETS.superuser,
      CRM_API_TOKEN: SECRETS.api,
      ...options.env,
    },
  })
  return {
    server,
    api,
    gateway,
    operator: operatorOf(gateway),
    async stop() {
      await gateway.stop()
      await api.stop()
      await server.stop('immediate')
    },
  }
}

export function operatorOf(gateway: UsedGateway): ApiClient {
  return new ApiClient({ kind: 'socket', path: `${gateway.dataDirectory}/operator.sock` })
}

/** The sample's own configuration; beside it the same database for agents that may do more, and still see nothing. */
function configuration(server: TestServer, apiUrl: string): string {
  const sample = sampleConfiguration({
    ports: { postgres: 0, http: 0, api: 0 },
    database: { port: server.port, role: CRM_ROLE, name: 'crm' },
    apiUrl,
  })
    .replace(`\${store:crm-password}`, `\${env:CRM_PASSWORD}`)
    .replace(`\${store:crm-api-token}`, `\${env:CRM_API_TOKEN}`)
  const block = /  crm:\n[\s\S]*?(?=  crm-api:)/.exec(sample)?.[0] ?? ''
  const super_ = block
    .replace('  crm:', '  crm-super:')
    .replace(`user: ${CRM_ROLE}`, 'user: builder')
    .replace(`\${env:CRM_PASSWORD}`, `\${env:BUILDER_PASSWORD}`)
  return (
    sample
      // Hundreds of attempts ask more than an agent may in a day, and worlds bring budgets of their own.
      .replace(/budgets:\n[\s\S]*?(?=rules:)/, '')
      .replace('identities:\n  local:\n', (head) => `${head}${MORE_IDENTITIES}`)
      .replace('connections:\n', (head) => `${head}${super_}`)
      .replaceAll('    limit: { rows: 100, bytes: 1MiB }\n', (line) => `${line}    patience: 100ms\n`)
      .concat(MORE_RULES)
  )
}

const MORE_IDENTITIES = `    - { name: writer, kind: service }
    - { name: builder, kind: service }
    - { name: analyst, kind: service }
`

const MORE_RULES = `  - name: the writer writes at once
    who: { identities: ["service:writer"] }
    on: [crm, crm-api, crm-super]
    permit: { run: [read, write], unreviewed: [read, write], unlimited: true }
  - name: the builder does anything, and sees nothing
    who: { identities: ["service:builder"] }
    on: [crm, crm-api, crm-super]
    permit: { run: all, unreviewed: all, unlimited: true }
  - name: the analyst filters by everything, and sees nothing
    who: { identities: ["service:analyst"] }
    on: [crm, crm-super]
    permit: { run: all, unreviewed: all, unlimited: true, filter: all }
`

function markedCompany(): ReturnType<typeof makeCompany> {
  const company = makeCompany()
  const number = (id: number) => String(id).padStart(4, '0')
  return {
    ...company,
    employees: company.employees.map((each) => ({
      ...each,
      email: `e.qzvmail${number(each.id)}@tidewater.example`,
      salary: `48151623.${String(each.id).padStart(2, '0')}`,
    })),
    customers: company.customers.map((each) => ({
      ...each,
      name: `A qzvname${number(each.id)} Person`,
      email: `c.qzvmail${number(each.id)}@${each.company.toLowerCase().replaceAll(' ', '')}.example`,
      phone: `+1 qzvphone${number(each.id)} 99`,
    })),
    payment_methods: company.payment_methods.map((each) =>
      each.iban === null ? each : { ...each, iban: `DE00qzviban${number(each.id)}0000` },
    ),
    api_keys: company.api_keys.map((each) => ({ ...each, key: `sk_qzvapikey${number(each.id)}` })),
  }
}

/** A DSN of the gateway as the raw client wants it. */
export function targetOf(dsn: string): Target {
  const url = new URL(dsn)
  return {
    host: url.hostname,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  }
}

/** The marks that these bytes show, plainly or in an encoding that a single function makes of a value. */
export function marksIn(bytes: Buffer): string[] {
  const text = bytes.toString('latin1').toLowerCase()
  const raw = bytes.toString('latin1')
  const squeezed = text.replaceAll(/[^a-z0-9]/g, '')
  return MARKS.filter(
    (mark) =>
      text.includes(mark) ||
      squeezed.includes(mark) ||
      squeezed.includes([...mark].toReversed().join('')) ||
      squeezed.includes(Buffer.from(mark).toString('hex')) ||
      squeezed.includes([...mark].map((each) => each.charCodeAt(0)).join('')) ||
      base64Forms(mark).some((form) => raw.includes(form)) ||
      text.includes([...mark].map((each) => `\0${each}`).join('')),
  )
}

/** What base64 makes of a text wherever in a longer one it stands: three shifts, without the edges. */
export function base64Forms(text: string): string[] {
  return [0, 1, 2].map((shift) => {
    const encoded = Buffer.from('x'.repeat(shift) + text)
      .toString('base64')
      .replaceAll('=', '')
    const whole = Math.floor(((shift + text.length) * 8) / 6)
    return encoded.slice(Math.ceil((shift * 8) / 6), whole)
  })
}
