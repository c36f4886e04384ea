import { describe, expect, it } from 'vitest'
import { formatProblem } from '../core/index.ts'
import { postgres } from '../protocols/postgres/index.ts'
import { loadConfig } from './index.ts'

const VAULT = `vault:
  url: https://vault.internal:8200
  auth: { kind: kubernetes, role: sluice }
`

function load(user: string, password: string, before = VAULT) {
  const text = `${before}connections:
  crm: { protocol: postgres, upstream: { host: db, user: "${user}", password: "${password}" } }
`
  return loadConfig({ file: 'sluice.yaml', text }, { protocols: { postgres } })
}

function problems(loaded: ReturnType<typeof load>): string {
  return loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n')
}

describe('a reference to Vault', () => {
  it('is a path and a field, for a password and for the name that belongs to it', () => {
    const loaded = load('${vault:database/creds/crm#username}', '${vault:database/creds/crm#password}')
    expect(problems(loaded)).toBe('')
    const [crm] = loaded.ok ? [...loaded.config.connections.values()] : []
    const at = { kind: 'vault', path: 'database/creds/crm' }
    expect(crm?.settings).toMatchObject({
      upstream: { user: { ...at, field: 'username' }, password: { ...at, field: 'password' } },
    })
    expect(loaded.ok && loaded.config.vault?.auth).toMatchObject({
      mount: 'kubernetes',
      jwt: { kind: 'file', path: '/var/run/secrets/kubernetes.io/serviceaccount/token' },
    })
  })

  it.each([
    '${vault:secret/data/crm}',
    '${vault:secret#x}',
    '${vault:/secret/data/crm#x}',
    '${vault:v1/secret/data/crm#x}',
    '${vault:secret/../sys/raw#x}',
    '${vault:secret/data/crm?version=1#x}',
    '${vault:secret/data/crm#x y}',
  ])('%s is none', (written) => {
    expect(problems(load('app', written))).toContain('write it like "${vault:secret/data/crm#password}"')
  })

  it('needs a Vault, and says where', () => {
    expect(problems(load('app', '${vault:secret/data/crm#password}', ''))).toMatch(
      /^sluice\.yaml:2:\d+ connections\.crm\.upstream\.password: expected a Vault/,
    )
  })

  it.each([
    [
      'its own secrets are in it',
      VAULT.replace('role: sluice', 'role: sluice, jwt: "${vault:secret/data/x#y}"'),
    ],
    ['they are in the store', VAULT.replace('role: sluice', 'role: sluice, jwt: "${store:x}"')],
    ['it is reached in clear', VAULT.replace('https', 'http')],
    ['its address has a path', VAULT.replace('8200', '8200/v1')],
  ])('is refused when %s', (_why, before) => {
    expect(problems(load('app', '${vault:secret/data/crm#password}', before))).toContain('vault.')
  })
})
