/**
 * A real gateway in this process, so that a test can replace a part of it: for what must be seen to go wrong. Everything
 * else uses gateway.ts, which starts the one that people start.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dsnOf, mint } from '../../src/cli/credentials.ts'
import { startGateway } from '../../src/main.ts'
import type { GatewayOptions, TestGateway } from './gateway.ts'

export async function startGatewayInside(
  options: GatewayOptions,
): Promise<Pick<TestGateway, 'dataDirectory' | 'dsn' | 'ports' | 'stderr' | 'stop'>> {
  const place = await mkdtemp(join(tmpdir(), 'sluice-inside-'))
  const configFile = join(place, 'sluice.yaml')
  const dataDirectory = join(place, 'data')
  await writeFile(configFile, options.config)
  Object.assign(process.env, options.env)
  const faults: string[] = []
  const gateway = await startGateway({
    dataDirectory,
    configFile,
    masterKey: {
      environment: { SLUICE_KEY: randomBytes(32).toString('base64') },
      demo: false,
      warn: () => undefined,
    },
    report: (error) => faults.push(String(error)),
  })
  return {
    dataDirectory,
    ports: Object.fromEntries(Object.entries(gateway.endpoints).map(([name, { port }]) => [name, port])),
    stderr: () => faults.join('\n'),
    dsn: async (connection, identity, ttl = '1h') =>
      dsnOf(await mint(connection, undefined, { data: dataDirectory, as: identity, ttl })),
    async stop() {
      await gateway.stop()
      for (const name of Object.keys(options.env ?? {})) delete process.env[name]
      await rm(place, { recursive: true, force: true })
    },
  }
}
