/** The fake PostgreSQL server in a process of its own: speaks the protocol and keeps no data. Prints its port. */
import { createCertificates } from '../../src/net/index.ts'
import { done } from '../../src/testing/fake-postgres-answers.ts'
import { FakePostgres } from '../../src/testing/fake-postgres.ts'

const { certificate, key } = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
const fake = new FakePostgres({ auth: 'trust', keep: false, tls: { certificate, key } })
fake.answer(/^update /, done('UPDATE 1'))
const { port } = await fake.listen()
console.log(String(port))
// Asked for by a line of input: the writes that have reached it.
process.stdin.on('data', () =>
  console.log(String(fake.ran.filter(({ sql }) => sql.startsWith('update ')).length)),
)
