/** The fake PostgreSQL server in a process of its own: speaks the protocol and keeps no data. Prints its port. */
import { createCertificates } from '../../src/net/index.ts'
import { FakePostgres } from '../../src/testing/fake-postgres.ts'

const { certificate, key } = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
const fake = new FakePostgres({ auth: 'trust', keep: false, tls: { certificate, key } })
const { port } = await fake.listen()
console.log(String(port))
