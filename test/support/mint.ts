import { join } from 'node:path'
import { ApiClient, OPERATOR_SOCKET } from '../../src/api/client.ts'
import type { TestGateway } from './gateway.ts'

/**
 * What `sluice dsn` prints, asked for at the operator socket from this process: for suites that need dozens, where a
 * command each would take longer than all that they test.
 */
export async function mintDsn(
  gateway: Pick<TestGateway, 'dataDirectory'>,
  connection: string,
  as: string,
  actsFor?: string,
): Promise<string> {
  const client = new ApiClient({ kind: 'socket', path: join(gateway.dataDirectory, OPERATOR_SOCKET) })
  try {
    const minted = await client.call('POST', '/v1/operator/credentials', {
      connection,
      as,
      ...(actsFor === undefined ? {} : { for: actsFor }),
    })
    const field = (name: string) => encodeURIComponent(String(Reflect.get(Object(minted), name)))
    return `postgresql://${field('id')}:${field('secret')}@${field('address')}:${field('port')}/${field('database')}`
  } finally {
    await client.close()
  }
}
