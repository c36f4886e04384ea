import { expect, it } from 'vitest'
import { GatewayError, Secret } from '../core/index.ts'
import { storeTarget } from './store-dsn.ts'

const target = (dsn: string, ca?: string) => storeTarget({ dsn: new Secret(dsn), ca })

it('is read as libpq reads it, and TLS is checked', () => {
  const { name, options } = target('postgresql://sl%40ce:p%2Fw@db.internal/state', 'PEM')
  expect(options).toMatchObject({ host: 'db.internal', port: 5432, user: 'sl@ce', password: 'p/w' })
  expect(options).toMatchObject({
    database: 'state',
    ssl: { rejectUnauthorized: true, host: 'db.internal', ca: ['PEM'] },
  })
  expect(name).toBe('db.internal:5432/state')
  expect(target('postgres://s@[2001:db8::1]:6432/state').options).toMatchObject({
    host: '2001:db8::1',
    port: 6432,
  })
  expect(target('postgres://s@127.0.0.1/state').options.ssl).toMatchObject({ rejectUnauthorized: true })
})

it('is without TLS on this machine only, and only when it says so', () => {
  expect(target('postgres://s@localhost/state?sslmode=disable').options.ssl).toBe(false)
  for (const dsn of [
    'postgres://s@%2Fvar%2Frun%2Fpostgresql/state',
    'postgres://s@localhost/state?host=/var/run/postgresql',
  ])
    expect(target(dsn).options).toMatchObject({ host: '/var/run/postgresql', ssl: false })
})

it.each([
  'postgres://sluice:hunter2@db.internal/state?sslmode=disable',
  'postgres://sluice:hunter2@db.internal/state?sslmode=require',
  'postgres://sluice:hunter2@db.internal/state?sslmode=hunter2',
  'postgres://sluice:hunter2@db.internal/state?sslrootcert=hunter2',
  'postgres://sluice:hunter2@db.internal',
  'postgres://db.internal/hunter2',
  'postgres://sluice:hunter2%@db.internal/state',
  'mysql://sluice:hunter2@db.internal/state',
  'hunter2',
])('%s is refused, and no message repeats it', (dsn) => {
  const refused = (() => {
    try {
      return target(dsn)
    } catch (error) {
      return error
    }
  })()
  expect(refused).toMatchObject({ code: 'invalid' })
  if (refused instanceof GatewayError)
    expect(`${refused.message} ${refused.remedy} ${JSON.stringify(refused.facts)}`).not.toContain('hunter2')
})
