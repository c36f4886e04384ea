/** GitHub's own SDK with another address and another key, against a stand-in that speaks GitHub's API (acceptance 1). */
import { Octokit } from '@octokit/rest'
import { beforeAll, describe, expect, test } from 'vitest'
import { teardown } from '../support/teardown.ts'
import { commitsOf, githubApi, REPOSITORY } from './apis/github-api.ts'
import type { Stage } from './apis/stage.ts'
import { REAL_KEY, startStage } from './apis/stage.ts'

const CONNECTION = `upstream:
  url: "http://127.0.0.1:PORT"
  credential: { kind: header, name: Authorization, scheme: token, value: KEY }
client:
  slots: [{ kind: scheme, name: token }]
routes:
  - { method: GET, path: "/users/{name}" }
  - { method: GET, path: "/repos/{owner}/{repo}" }
  - { method: GET, path: "/repos/{owner}/{repo}/commits" }
  - { method: GET, path: "/repositories/{id}/commits" }
  - { method: POST, path: "/repos/{owner}/{repo}/issues", class: write }
  - { method: POST, path: "/repos/{owner}/{repo}/keys" }
labels:
  "/users/{name}: email": pii.email
  "/repos/{owner}/{repo}/commits: [].commit.author.email": pii.email
  "/repositories/{id}/commits: [].commit.author.email": pii.email
  "/repos/{owner}/{repo}/issues: **.email": pii.email
`

const COMMITS = commitsOf(7)
const REPO = { owner: 'octo', repo: 'hello' }

describe('the SDK of GitHub', () => {
  const later = teardown()
  let stage: Stage
  let octokit: Octokit

  beforeAll(async () => {
    stage = await startStage({
      authorization: `token ${REAL_KEY}`,
      connection: CONNECTION,
      answer: githubApi(COMMITS),
    })
    later(() => stage.stop())
    octokit = new Octokit({ auth: stage.token, baseUrl: stage.url })
  })

  const sealed = (): void =>
    stage.expectSealed(['octo@home.example', ...COMMITS.map((_, i) => `author${i}@home.example`)])

  test('reads a user with the address masked, its token where it puts it (P-02)', async () => {
    const { data, headers } = await octokit.rest.users.getByUsername({ username: 'octo' })
    expect(data).toEqual({ login: 'octo', id: 1, email: '[masked]', name: 'Octo' })
    expect(headers['x-github-media-type']).toBe('github.v3; format=json')
    const shown = Buffer.concat(stage.tap.conversations.flatMap(({ fromClient }) => fromClient)).toString()
    expect(shown).toContain(`authorization: token ${stage.token}`)
    sealed()
  })

  test('walks through pages by their links, which lead to the gateway', async () => {
    const commits = await octokit.paginate(octokit.rest.repos.listCommits, { ...REPO, per_page: 3 })
    const shown = COMMITS.map(({ commit, ...each }) => ({
      ...each,
      commit: { ...commit, author: { ...commit.author, email: '[masked]' } },
    }))
    expect(commits).toEqual(shown)
    expect(stage.api.seen.slice(-3).map(({ path }) => path)).toEqual([
      '/repos/octo/hello/commits',
      '/repositories/1300192/commits',
      '/repositories/1300192/commits',
    ])
    sealed()
  })

  test('follows a redirect through the gateway', async () => {
    const { data, url } = await octokit.rest.repos.get({ owner: 'octo', repo: 'renamed' })
    expect([data, url]).toEqual([REPOSITORY, `${stage.url}/repos/octo/hello`])
    sealed()
  })

  test('is told that nothing changed, where nothing may be masked (P-01)', async () => {
    const first = await octokit.rest.repos.get(REPO)
    expect(first.data).toEqual(REPOSITORY)
    const headers = { 'if-none-match': first.headers.etag }
    const again = octokit.rest.repos.get({ ...REPO, headers })
    await expect(again).rejects.toMatchObject({ name: 'HttpError', status: 304, message: 'Not modified' })
    // A tag of what is masked would tell it: there is none.
    const commits = await octokit.rest.repos.listCommits({ ...REPO, per_page: 1 })
    expect(commits.headers.etag).toBeUndefined()
  })

  test('fails with its own error, which says why (P-09)', async () => {
    const before = stage.api.seen.length
    const refused = octokit.rest.repos.createDeployKey({ ...REPO, key: 'ssh-ed25519 AAAA' })
    await expect(refused).rejects.toMatchObject({
      name: 'HttpError',
      status: 403,
      message: expect.stringMatching(/permit.* Request [0-9A-Z]{26}\.\d+\.$/),
      response: { data: { title: 'denied', retry: 'only-if-changed' } },
    })
    expect(stage.api.seen.length).toBe(before)
    const missing = octokit.rest.users.getByUsername({ username: 'nobody' })
    await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringMatching(/^Not Found/) })
  })

  test('waits while a person looks, and makes one issue (P-05)', async () => {
    const making = octokit.rest.issues.create({ ...REPO, title: 'From a journey' })
    await stage.approve('/issues')
    const { status, data, headers } = await making
    expect([status, data]).toEqual([
      201,
      { number: 5, title: 'From a journey', user: { login: 'octo', email: '[masked]' } },
    ])
    expect(headers.location).toBe(`${stage.url}/repos/octo/hello/issues/5`)
    expect(stage.api.seen.filter(({ method }) => method === 'POST')).toHaveLength(1)
    sealed()
  })
})
