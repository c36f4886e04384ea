import { describe, expect, it } from 'vitest'
import type { Config } from './index.ts'
import { loadConfig } from './index.ts'

const BASE = `
identities:
  local:
    - { name: ada, kind: person, roles: [approver] }
    - { name: bot, kind: agent }
  issuers: [{ url: https://login.example.com, audience: sluice }]
`

function load(text: string): { config: Config | undefined; problems: string[] } {
  const loaded = loadConfig({ file: 'sluice.yaml', text: BASE + text }, { protocols: {} })
  return loaded.ok
    ? { config: loaded.config, problems: [] }
    : {
        config: undefined,
        problems: loaded.problems.map(({ path, message, fix }) => `${path}: ${message}; ${fix}`),
      }
}

function channel(text: string, route = '[c]'): { config: Config | undefined; problems: string[] } {
  return load(
    `approvals: { channels: { c: ${text} }, routes: { r: { steps: [{ anyone: true }], channels: ${route} } } }`,
  )
}

const HOOK = 'kind: webhook, url: "https://h.example.com", secret: "${store:s}"'
const SLACK = 'kind: slack, token: "${store:t}", to: C012345'
const MAIL = 'kind: email, host: mail.example.com, from: s@example.com, to: [a@example.com]'

describe('channels', () => {
  it('are read with what is usual where nothing is said', () => {
    const { config } = load(`
listen: { api: { port: 0, publicUrl: "https://sluice.example.com/" } }
approvals:
  channels:
    ops: { ${HOOK}, previousSecret: "\${store:old}", answers: { secret: "\${env:IN}", people: { u1: "person:ada", u2: "person:eve (https://login.example.com)" } } }
    chat: { ${SLACK} }
    teams: { kind: teams, url: "\${store:flow}", perMinute: 5 }
    mail: { ${MAIL}, user: u, password: "\${file:p}" }
  routes:
    r: { steps: [{ anyone: true }], channels: [ops, chat], answers: [ops] }
`)
    expect(config?.api?.publicUrl).toBe('https://sluice.example.com')
    const { channels, routes } = config?.approvals ?? {}
    expect(channels?.get('ops')).toMatchObject({
      kind: 'webhook',
      perMinute: 20,
      secrets: [{ name: 's' }, { name: 'old' }],
      answers: { secrets: [{ name: 'IN' }] },
    })
    const ops = channels?.get('ops')
    const people = ops?.kind === 'webhook' ? ops.answers?.people : undefined
    expect(people?.get('u1')).toEqual({ kind: 'person', name: 'ada', issuer: 'local', groups: [] })
    expect(people?.get('u2')).toEqual({
      kind: 'person',
      name: 'eve',
      issuer: 'https://login.example.com',
      groups: [],
    })
    expect(channels?.get('chat')).toMatchObject({ apiUrl: 'https://slack.com/api', answers: undefined })
    expect(channels?.get('teams')).toMatchObject({ perMinute: 5 })
    expect(channels?.get('mail')).toMatchObject({ port: 587, tls: 'starttls', login: { user: 'u' } })
    expect(routes?.get('r')).toMatchObject({ channels: ['ops', 'chat'], answers: ['ops'] })
  })

  it.each([
    [
      'a URL that is not https',
      '{ kind: webhook, url: "http://h.example.com", secret: "${store:s}" }',
      /begins with https/,
    ],
    [
      'a URL with a password',
      '{ kind: webhook, url: "https://a:b@h.example.com", secret: "${store:s}" }',
      /without user names/,
    ],
    [
      'a URL of a file',
      '{ kind: webhook, url: "file:///etc/passwd", secret: "${store:s}" }',
      /begins with https/,
    ],
    [
      'a secret in the file',
      '{ kind: webhook, url: "https://h.example.com", secret: whsec_AAAA }',
      /the value itself/,
    ],
    ['a token in the file', '{ kind: slack, token: xoxb-1, to: C012345 }', /the value itself/],
    [
      'the URL of a workflow in the file',
      '{ kind: teams, url: "https://x.example.com/?sig=1" }',
      /the value itself/,
    ],
    [
      'a Slack that is elsewhere in clear',
      `{ ${SLACK}, apiUrl: "http://slack.example.com" }`,
      /begins with https/,
    ],
    [
      'the name of a conversation',
      '{ kind: slack, token: "${store:t}", to: "#general" }',
      /id of a conversation/,
    ],
    ['mail in clear to another machine', `{ ${MAIL}, tls: none }`, /expected TLS/],
    ['a user without a password', `{ ${MAIL}, user: u }`, /together/],
    [
      'an address with more behind it',
      `{ kind: email, host: h, from: "s@example.com\\nBcc: x@example.com", to: [a@example.com] }`,
      /expected an address/,
    ],
    ['nobody to write to', '{ kind: email, host: h, from: s@example.com, to: [] }', /to/],
    [
      'an agent that answers',
      `{ ${SLACK}, answers: { signingSecret: "\${store:s}", people: { U1: "agent:bot" } } }`,
      /expected a person/,
    ],
    [
      'somebody unknown',
      `{ ${SLACK}, answers: { signingSecret: "\${store:s}", people: { U1: "person:adda" } } }`,
      /person:ada/,
    ],
  ])('refuse %s', (_what, text, problem) => {
    expect(channel(text).problems.join('\n')).toMatch(problem)
  })

  it('in clear are for this machine', () => {
    expect(channel('{ kind: webhook, url: "http://127.0.0.1:1/x", secret: "${store:s}" }').problems).toEqual(
      [],
    )
    expect(
      channel('{ kind: email, host: localhost, tls: none, from: s@example.com, to: [a@example.com] }')
        .problems,
    ).toEqual([])
  })

  it.each([
    ['a channel that is not there', 'channels: [d]', /expected a channel of approvals/],
    ['answers through one that is not told', 'channels: [], answers: [c]', /add it to "channels" as well/],
    ['answers through one that takes none', 'channels: [c], answers: [c]', /give it "answers"/],
    ['answers by mail', 'channels: [m], answers: [m]', /if it is a webhook or Slack/],
  ])('of a route refuse %s', (_what, route, problem) => {
    const text = `approvals: { channels: { c: { ${HOOK} }, m: { ${MAIL} } }, routes: { r: { steps: [{ anyone: true }], ${route} } } }`
    expect(load(text).problems.join('\n')).toMatch(problem)
  })

  it('have links that begin with https', () => {
    expect(
      load('listen: { api: { port: 0, publicUrl: "http://sluice.example.com" } }').problems.join(),
    ).toMatch(/https/)
    expect(load('listen: { api: { port: 0, publicUrl: "javascript:alert(1)" } }').problems.join()).toMatch(
      /https/,
    )
  })
})
