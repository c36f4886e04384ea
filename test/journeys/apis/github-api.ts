/** What GitHub's API does as its SDK needs it: links to pages by the number of a repository, and entity tags. */
import { createHash } from 'node:crypto'
import type { Answering } from './stand-in.ts'
import { sendJson } from './stand-in.ts'

export type Commit = {
  readonly sha: string
  readonly commit: { readonly author: object; readonly message: string }
}

export function commitsOf(count: number): Commit[] {
  return Array.from({ length: count }, (_, i) => ({
    sha: createHash('sha1').update(String(i)).digest('hex'),
    commit: {
      author: { name: `Author ${i}`, email: `author${i}@home.example` },
      message: `Change ${i}`,
    },
  }))
}

export const REPOSITORY = { id: 1300192, full_name: 'octo/hello', private: true, default_branch: 'main' }

export function githubApi(commits: readonly Commit[]): Answering {
  return (seen, response) => {
    const here = `http://${seen.headers.host}`
    response.setHeader('x-github-media-type', 'github.v3; format=json')
    if (seen.method === 'GET' && seen.path === '/users/octo')
      return sendJson(response, 200, { login: 'octo', id: 1, email: 'octo@home.example', name: 'Octo' })
    if (seen.method === 'GET' && seen.path === '/repos/octo/hello') {
      const etag = `"${createHash('sha256').update(JSON.stringify(REPOSITORY)).digest('hex')}"`
      if (seen.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end()
      return sendJson(response, 200, REPOSITORY, { etag, 'cache-control': 'private, max-age=60' })
    }
    if (
      seen.method === 'GET' &&
      /^\/(?:repos\/octo\/hello|repositories\/1300192)\/commits$/.test(seen.path)
    ) {
      const size = Number(seen.query.get('per_page') ?? '30')
      const page = Number(seen.query.get('page') ?? '1')
      const last = Math.ceil(commits.length / size)
      const at = (n: number) => `<${here}/repositories/1300192/commits?per_page=${size}&page=${n}>`
      const links = [
        ...(page < last ? [`${at(page + 1)}; rel="next"`, `${at(last)}; rel="last"`] : []),
        ...(page > 1 ? [`${at(1)}; rel="first"`, `${at(page - 1)}; rel="prev"`] : []),
      ]
      return sendJson(response, 200, commits.slice((page - 1) * size, page * size), {
        link: links.join(', '),
      })
    }
    if (seen.method === 'POST' && seen.path === '/repos/octo/hello/issues') {
      const { title } = JSON.parse(seen.body)
      const issue = { number: 5, title, user: { login: 'octo', email: 'octo@home.example' } }
      return sendJson(response, 201, issue, { location: `${here}/repos/octo/hello/issues/5` })
    }
    if (seen.method === 'GET' && seen.path === '/repos/octo/renamed')
      return void response.writeHead(301, { location: `${here}/repos/octo/hello` }).end()
    sendJson(response, 404, {
      message: 'Not Found',
      documentation_url: 'https://docs.example/rest',
      status: '404',
    })
  }
}
