/** A person at the control API without a terminal: for suites and benchmarks that answer by the hundred. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOTP } from 'otpauth'
import { z } from 'zod'
import { ApiClient, OPERATOR_SOCKET } from '../../src/api/client.ts'

const invited = z.object({ code: z.string() })
const begun = z.object({ secret: z.string() })
const loggedIn = z.object({ token: z.string() })
const status = z.object({ endpoints: z.object({ api: z.object({ port: z.number() }) }) })

/** The API with a login of a person that is fresh for five minutes from now: a device enrolled anew. Close it. */
export async function logIn(data: string, person: string): Promise<ApiClient> {
  const operator = new ApiClient({ kind: 'socket', path: join(data, OPERATOR_SOCKET) })
  try {
    const { endpoints } = status.parse(await operator.call('GET', '/v1/status'))
    const at = {
      kind: 'url' as const,
      url: `https://127.0.0.1:${endpoints.api.port}`,
      authority: await readFile(join(data, 'tls', 'authority.pem'), 'utf8'),
    }
    const { code } = invited.parse(await operator.call('POST', `/v1/people/${person}/invitations`))
    const anybody = new ApiClient(at)
    try {
      const { secret } = begun.parse(await anybody.call('POST', '/v1/enrolments/begin', { code }))
      const digits = new TOTP({ secret }).generate()
      const confirmed = await anybody.call('POST', '/v1/enrolments/confirm', { code, digits })
      return new ApiClient({ ...at, token: loggedIn.parse(confirmed).token })
    } finally {
      await anybody.close()
    }
  } finally {
    await operator.close()
  }
}
