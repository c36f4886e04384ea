import { describe, expect, it } from 'vitest'
import { formatProblem } from '../core/index.ts'
import { http } from '../protocols/http/index.ts'
import { postgres } from '../protocols/postgres/index.ts'
import { loadConfig } from './index.ts'

function load(hosts: string, listener = 'http') {
  const text = `listen:
  ${listener}: { port: 0, hosts: ${hosts} }
connections:
  crm-api: { protocol: http, upstream: { url: "http://127.0.0.1:1" } }
  billing: { protocol: http, upstream: { url: "http://127.0.0.1:1" } }
  crm: { protocol: postgres, upstream: { host: db, user: app, password: "\${env:X}" } }
`
  return loadConfig({ file: 'sluice.yaml', text }, { protocols: { postgres, http } })
}

function problems(loaded: ReturnType<typeof load>): string {
  return loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n')
}

describe('hosts of a listener', () => {
  it('lead to the connections that they name', () => {
    const loaded = load(
      '{ below: [gateway.example], names: { crm.example: crm-api, x.gateway.example: billing } }',
    )
    expect(problems(loaded)).toBe('')
    const hosts = loaded.ok ? loaded.config.listeners.get('http')?.hosts : undefined
    expect(hosts?.below).toEqual(['gateway.example'])
    expect([...(hosts?.names ?? [])]).toEqual([
      ['crm.example', 'crm-api'],
      ['x.gateway.example', 'billing'],
    ])
  })

  it.each([
    ['a connection that there is not', '{ names: { crm.example: crm-app } }', 'write "crm-api"'],
    [
      'a connection of another protocol',
      '{ names: { crm.example: crm } }',
      'expected a connection that this',
    ],
    ['a host twice', '{ below: [a.example, a.example] }', 'expected each host once'],
    [
      'a host below another',
      '{ below: [example.com, gateway.example.com] }',
      'expected a host that is no connection',
    ],
    [
      'the host of the gateway itself',
      '{ below: [a.example], names: { a.example: crm-api } }',
      'a host of its own',
    ],
    [
      'the host of another connection',
      '{ below: [a.example], names: { billing.a.example: crm-api } }',
      'expected one connection for each host',
    ],
    ['an address', '{ below: [10.0.0.1] }', 'expected the name of a host'],
    ['a name without a domain', '{ below: [localhost] }', 'expected the name of a host'],
    ['capitals', '{ below: [Gateway.example] }', 'expected the name of a host'],
    ['a dot at the end', '{ names: { crm.example.: crm-api } }', 'hosts.names'],
    ['a port', '{ names: { "crm.example:443": crm-api } }', 'hosts.names'],
    ['an asterisk', '{ names: { "*.example.com": crm-api } }', 'hosts.names'],
  ])('are refused with %s', (_what, hosts, expected) => {
    expect(problems(load(hosts))).toContain(expected)
  })

  it('are for protocols whose clients say which host they want', () => {
    expect(problems(load('{ below: [gateway.example] }', 'postgres'))).toContain('listen.postgres')
  })
})
