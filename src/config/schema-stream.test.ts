import { describe, expect, it } from 'vitest'
import { formatProblem } from '../core/index.ts'
import type { OutletBlock } from './outlet-block.ts'
import { loadConfig } from './index.ts'

function load(outlets: string) {
  return loadConfig({ file: 'sluice.yaml', text: `recording:\n  stream:\n${outlets}\n` }, { protocols: {} })
}

function read(outlets: string): readonly OutletBlock[] {
  const result = load(outlets)
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.config.recording.stream
}

function problems(outlets: string): string[] {
  const result = load(outlets)
  return result.ok ? [] : result.problems.map(formatProblem)
}

describe('recording.stream', () => {
  it('has outlets, each with what it needs and defaults for the rest', () => {
    const [splunk, collector, siem, plain] = read(`
    - kind: http
      name: splunk
      url: https://splunk.example.com:8088/services/collector/event
      format: splunk
      header: { scheme: Splunk, value: "\${store:splunk-token}" }
      include: [statements]
    - { kind: otlp, name: collector, url: "http://127.0.0.1:4318", compression: none, backlog: { size: 4GiB, after: 30d } }
    - kind: syslog
      name: siem
      host: siem.example.com
      ca: "\${file:siem-ca.pem}"
      certificate: "\${file:gateway.pem}"
      key: "\${file:gateway.key}"
    - { kind: syslog, name: plain, host: 10.0.0.9, transport: udp, datagram: 8KiB, facility: 16, enterprise: 12345 }`)
    expect(splunk).toEqual({
      settings: {
        name: 'splunk',
        statements: true,
        backlog: { bytesMax: 1024 ** 3, msMax: 7 * 86_400_000 },
        to: {
          kind: 'http',
          url: 'https://splunk.example.com:8088/services/collector/event',
          gzip: true,
          header: { name: 'Authorization', scheme: 'Splunk' },
          format: 'splunk',
        },
      },
      secrets: { header: { kind: 'store', name: 'splunk-token' } },
    })
    expect(collector?.settings).toMatchObject({
      statements: false,
      backlog: { bytesMax: 4 * 1024 ** 3, msMax: 30 * 86_400_000 },
      to: { kind: 'otlp', gzip: false, header: undefined },
    })
    expect(siem).toMatchObject({
      settings: {
        to: {
          transport: 'tls',
          port: 6514,
          facility: 13,
          enterprise: 32_473,
          confirm: 'close',
          datagramBytesMax: 2_048,
        },
      },
      secrets: {
        ca: { kind: 'file' },
        certificate: { kind: 'file' },
        key: { kind: 'file', path: 'gateway.key' },
      },
    })
    expect(plain?.settings.to).toMatchObject({
      port: 514,
      transport: 'udp',
      datagramBytesMax: 8_192,
      enterprise: 12_345,
    })
  })

  it.each([
    [
      'a secret in clear',
      '{ kind: http, name: a, url: "https://a.example", header: { value: hunter2 } }',
      /expected a reference to a secret/,
    ],
    [
      'a secret over plain HTTP to elsewhere',
      '{ kind: http, name: a, url: "http://a.example", header: { value: "${env:T}" } }',
      /expected https:\/\/ where a secret is sent/,
    ],
    [
      'a password in the URL',
      '{ kind: otlp, name: a, url: "https://u:p@a.example" }',
      /leave out user names, passwords/,
    ],
    [
      'a header that is not its own',
      '{ kind: http, name: a, url: "https://a.example", header: { name: Content-Length, value: "${env:T}" } }',
      /this one is set by itself/,
    ],
    [
      'a URL that is none',
      '{ kind: http, name: a, url: nowhere, header: { value: "${env:T}" } }',
      /begins with https:/,
    ],
    ['a kind that is none', '{ kind: sysslog, name: a, host: b }', /write "syslog"/],
    [
      'a name that is part of no path',
      '{ kind: otlp, name: ../a, url: "https://a.example" }',
      /small letters/,
    ],
    [
      'TLS without TLS',
      '{ kind: syslog, name: a, host: b, transport: tcp, ca: "${file:a}" }',
      /only with "transport: tls"/,
    ],
    [
      'half of who it is',
      '{ kind: syslog, name: a, host: b, key: "${file:a}" }',
      /"certificate" and "key" together/,
    ],
    ['rows', '{ kind: otlp, name: a, url: "https://a.example", include: [rows] }', /statements/],
    [
      'a backlog of less than one journal file',
      '{ kind: otlp, name: a, url: "https://a.example", backlog: { size: 1MiB } }',
      /from 64MiB/,
    ],
  ])('refuses %s', (_what, outlet, message) => {
    const found = problems(`    - ${outlet}`)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(message)
    expect(found[0]).not.toContain('hunter2')
  })

  it('refuses a name that another has, and takes plain HTTP on this machine', () => {
    const one = '    - { kind: http, name: a, url: "http://[::1]:8088", header: { value: "${env:T}" } }\n'
    expect(problems(one)).toEqual([])
    expect(problems(one + one)).toEqual([expect.stringContaining('expected each name once, got "a" again')])
  })
})
