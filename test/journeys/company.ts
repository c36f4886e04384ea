/** The sample company behind a gateway with the sample's own rules, as `npm start` sets it up, for tests to talk to. */
import { randomBytes } from 'node:crypto'
import {
  CRM_DATABASE,
  CRM_ROLE,
  makeCompany,
  prepareCrm,
  sampleConfiguration,
  startApi,
} from '../../src/sample/index.ts'
import type { SampleApi } from '../../src/sample/index.ts'
import { SAMPLE_SECRETS } from '../../src/sample/index.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { Major, TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'

export const AGENT = 'support-agent'
export const PERSON = 'ada'

export type Company = {
  readonly server: TestServer
  readonly api: SampleApi
  readonly gateway: TestGateway
  /** The password of the gateway's role: must come out nowhere. */
  readonly rolePassword: string
  readonly apiToken: string
  stop(): Promise<void>
}

export type CompanyOptions = {
  /** How long a held command waits inline; the sample says nothing, which is 45 s. */
  readonly patience?: string
}

export async function startCompany(major: Major = 15, options: CompanyOptions = {}): Promise<Company> {
  const undo: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const step of undo.reverse()) await step()
  }
  try {
    const rolePassword = randomBytes(18).toString('hex')
    const apiToken = randomBytes(18).toString('hex')
    const people = makeCompany()
    const server = await startTestServer(major)
    undo.push(() => server.stop())
    await prepareCrm(server, { superuser: server.password, role: rolePassword }, people)
    const api = await startApi({ company: people, token: apiToken })
    undo.push(() => api.stop())
    const config = sampleConfiguration({
      ports: { postgres: 0, http: 0, api: 0 },
      database: { port: server.port, role: CRM_ROLE, name: CRM_DATABASE },
      apiUrl: api.url,
    })
    const gateway = await startGateway({
      // The demonstration seals them in its store; here they come from the environment.
      config: config
        .replaceAll(
          /^( +)limit: .*$/gm,
          options.patience === undefined ? '$&' : `$&\n$1patience: ${options.patience}`,
        )
        .replace(`\${store:${SAMPLE_SECRETS.role}}`, '${env:SLUICE_TEST_ROLE_PASSWORD}')
        .replace(`\${store:${SAMPLE_SECRETS.apiToken}}`, '${env:SLUICE_TEST_API_TOKEN}'),
      env: { SLUICE_TEST_ROLE_PASSWORD: rolePassword, SLUICE_TEST_API_TOKEN: apiToken },
    })
    undo.push(() => gateway.stop())
    return { server, api, gateway, rolePassword, apiToken, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
