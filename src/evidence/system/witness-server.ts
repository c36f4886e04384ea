import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { LIMITS } from '../../core/index.ts'
import { REQUEST_BYTES_MAX } from '../witness/messages.ts'
import type { Witness } from '../witness/witness.ts'

export type WitnessServerOptions = {
  readonly witness: Pick<Witness, 'addCheckpoint'>
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  /** Hears of what should not have happened: the storage or the key failed. */
  readonly report: (error: unknown) => void
}

export type WitnessServer = { readonly host: string; readonly port: number; stop(): Promise<void> }

/**
 * Serves `POST /add-checkpoint`. Plain HTTP: everything that counts is signed, and who wants it private puts a proxy
 * with TLS in front. Throws what listening throws.
 */
export async function startWitnessServer(options: WitnessServerOptions): Promise<WitnessServer> {
  const app = fastify({
    bodyLimit: REQUEST_BYTES_MAX,
    requestTimeout: LIMITS.witnessRequestMs,
    connectionTimeout: LIMITS.witnessRequestMs,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1 },
  })
  // A checkpoint is bytes, whatever the client calls it.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  let working = 0
  app.post('/add-checkpoint', async (request, reply) => {
    if (working >= LIMITS.witnessRequestsMax)
      return reply.code(503).header('retry-after', '1').type('text/plain').send('Ask again in a second.\n')
    working += 1
    try {
      const body = request.body instanceof Uint8Array ? request.body : new Uint8Array(0)
      const answer = await options.witness.addCheckpoint(body)
      return await reply.code(answer.status).type(answer.mediaType).send(answer.body)
    } finally {
      working -= 1
    }
  })
  app.setErrorHandler((error, _request, reply) => {
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    if (status >= 400 && status < 500)
      return reply.code(status).type('text/plain').send('This cannot be read.\n')
    options.report(error)
    return reply
      .code(500)
      .type('text/plain')
      .send('The witness met a fault of its own: nothing was cosigned.\n')
  })
  await app.listen({ host: options.host, port: options.port })
  const { address, port } = addressOf(app.server.address())
  return { host: address, port, stop: () => app.close() }
}

function addressOf(address: string | AddressInfo | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
  return address
}
