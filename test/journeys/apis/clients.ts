/** Clients of no vendor in particular, each as people use it: what it reads, walks through, creates, and how it fails. */
import { fileURLToPath } from 'node:url'
import axios, { isAxiosError } from 'axios'
import { request } from 'undici'
import { run } from '../../support/process.ts'

export type Place = { readonly url: string; readonly token: string }

export type Problem = { readonly detail: string; readonly remedy: string; readonly request: string }

export type ApiUser = {
  one(place: Place, path: string): Promise<unknown>
  /** All items of a list that goes on behind `Link: <...>; rel="next"`. */
  pages(place: Place, path: string): Promise<unknown>
  /** Lines of JSON, read as they come. */
  lines(place: Place, path: string): Promise<unknown>
  create(place: Place, path: string, body: string): Promise<Created>
  /** How it is told that it may not. */
  refused(place: Place, path: string, body: string): Promise<Refused>
}

export type Created = { readonly status: number; readonly location: string; readonly body: unknown }
export type Refused = { readonly error: string; readonly problem: Problem }

const JSON_TYPE = { 'content-type': 'application/json' }
const bearer = ({ token }: Place) => ({ authorization: `Bearer ${token}` })

function nextOf(link: unknown): string | undefined {
  return /<([^>]+)>; *rel="next"/.exec(String(link))?.[1]
}

async function linesOf(body: AsyncIterable<Uint8Array>): Promise<unknown[]> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const piece of body) text += decoder.decode(piece, { stream: true })
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

const byFetch: ApiUser = {
  one: async (place, path) => (await fetch(`${place.url}${path}`, { headers: bearer(place) })).json(),
  async pages(place, path) {
    const items: unknown[] = []
    for (let url: string | undefined = `${place.url}${path}`; url !== undefined; ) {
      const answer: Response = await fetch(url, { headers: bearer(place) })
      items.push(...((await answer.json()) as unknown[]))
      url = nextOf(answer.headers.get('link'))
    }
    return items
  },
  async lines(place, path) {
    const { body } = await fetch(`${place.url}${path}`, { headers: bearer(place) })
    if (body === null) throw new Error('an answer without a body')
    return linesOf(body)
  },
  async create(place, path, body) {
    const headers = { ...bearer(place), ...JSON_TYPE }
    const answer = await fetch(`${place.url}${path}`, { method: 'POST', headers, body })
    return {
      status: answer.status,
      location: answer.headers.get('location') ?? '',
      body: await answer.json(),
    }
  },
  async refused(place, path, body) {
    const headers = { ...bearer(place), ...JSON_TYPE }
    const answer = await fetch(`${place.url}${path}`, { method: 'POST', headers, body })
    return {
      error: `${answer.ok} ${answer.status} ${answer.statusText}`,
      problem: (await answer.json()) as Problem,
    }
  },
}

const byUndici: ApiUser = {
  one: async (place, path) => (await request(`${place.url}${path}`, { headers: bearer(place) })).body.json(),
  async pages(place, path) {
    const items: unknown[] = []
    for (let url: string | undefined = `${place.url}${path}`; url !== undefined; ) {
      const { headers, body } = await request(url, { headers: bearer(place) })
      items.push(...((await body.json()) as unknown[]))
      url = nextOf(headers['link'])
    }
    return items
  },
  lines: async (place, path) =>
    linesOf((await request(`${place.url}${path}`, { headers: bearer(place) })).body),
  async create(place, path, body) {
    const headers = { ...bearer(place), ...JSON_TYPE }
    const answer = await request(`${place.url}${path}`, { method: 'POST', headers, body })
    const location = String(answer.headers['location'])
    return { status: answer.statusCode, location, body: await answer.body.json() }
  },
  async refused(place, path, body) {
    const headers = { ...bearer(place), ...JSON_TYPE }
    const answer = await request(`${place.url}${path}`, { method: 'POST', headers, body })
    return { error: String(answer.statusCode), problem: (await answer.body.json()) as Problem }
  },
}

const instance = (place: Place) => axios.create({ baseURL: place.url, headers: bearer(place) })

const byAxios: ApiUser = {
  one: async (place, path) => (await instance(place).get(path)).data,
  async pages(place, path) {
    const items: unknown[] = []
    for (let url: string | undefined = path; url !== undefined; ) {
      const { data, headers } = await instance(place).get(url)
      items.push(...data)
      url = nextOf(headers['link'])
    }
    return items
  },
  lines: async (place, path) => linesOf((await instance(place).get(path, { responseType: 'stream' })).data),
  async create(place, path, body) {
    const { status, headers, data } = await instance(place).post(path, JSON.parse(body))
    return { status, location: String(headers['location']), body: data }
  },
  async refused(place, path, body) {
    try {
      await instance(place).post(path, JSON.parse(body))
    } catch (error) {
      if (!isAxiosError(error)) throw error
      return { error: `${error.code} ${error.message}`, problem: error.response?.data }
    }
    throw new Error('it was not refused')
  },
}

const environmentOf = ({ url, token }: Place) => ({ SLUICE_URL: url, SLUICE_TOKEN: token })

async function curl(place: Place, ...args: readonly string[]) {
  return run('curl', ['-sS', '-H', `Authorization: Bearer ${place.token}`, ...args], { msMax: 90_000 })
}

/** The head that `-i` shows, and what is behind it. */
function partsOf(shown: string): { readonly head: string; readonly body: string } {
  const at = shown.indexOf('\r\n\r\n')
  return { head: shown.slice(0, at), body: shown.slice(at + 4) }
}

const byCurl: ApiUser = {
  one: async (place, path) => JSON.parse((await curl(place, `${place.url}${path}`)).stdout),
  async pages(place, path) {
    const items: unknown[] = []
    for (let url: string | undefined = `${place.url}${path}`; url !== undefined; ) {
      const { head, body } = partsOf((await curl(place, '-i', url)).stdout)
      items.push(...JSON.parse(body))
      url = nextOf(head)
    }
    return items
  },
  async lines(place, path) {
    const { stdout } = await curl(place, '-N', `${place.url}${path}`)
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  },
  async create(place, path, body) {
    const { stdout } = await curl(place, '-i', '--json', body, `${place.url}${path}`)
    const parts = partsOf(stdout)
    return {
      status: Number(/^HTTP\/1\.1 (\d+)/.exec(parts.head)?.[1]),
      location: /^location: (.*)$/im.exec(parts.head)?.[1]?.trim() ?? '',
      body: JSON.parse(parts.body),
    }
  },
  async refused(place, path, body) {
    const done = await curl(place, '--fail-with-body', '--json', body, `${place.url}${path}`)
    return { error: `${done.code} ${done.stderr}`, problem: JSON.parse(done.stdout) }
  },
}

/** Debian's modules belong to Debian's Python, whatever `python3` on the PATH is. */
function byPython(name: string): ApiUser {
  const program = fileURLToPath(new URL(`clients/${name}`, import.meta.url))
  const step = async (place: Place, ...args: readonly string[]) => {
    const env = { ...environmentOf(place), PYTHONDONTWRITEBYTECODE: '1' }
    const done = await run('/usr/bin/python3', [program, ...args], { env, msMax: 90_000 })
    if (done.code !== 0) throw new Error(`${name} ended with ${done.code}: ${done.stderr}\n${done.stdout}`)
    return JSON.parse(done.stdout)
  }
  return {
    one: (place, path) => step(place, 'one', path),
    pages: (place, path) => step(place, 'pages', path),
    lines: (place, path) => step(place, 'lines', path),
    create: (place, path, body) => step(place, 'create', path, body),
    refused: (place, path, body) => step(place, 'refused', path, body),
  }
}

export const API_USERS = {
  curl: byCurl,
  fetch: byFetch,
  undici: byUndici,
  axios: byAxios,
  'Python requests': byPython('requests_client.py'),
  'Python httpx': byPython('httpx_client.py'),
} as const satisfies Readonly<Record<string, ApiUser>>

export type ApiUserName = keyof typeof API_USERS
