/** What is measured against each other: the API itself, nginx passing through, relays on Node, Sluice. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runSluice } from '../postgres/sluice.ts'
import { freePort, run, start } from '../support/processes.ts'
import { customer } from './data.ts'

export type TargetName = 'direct' | 'nginx' | 'relay' | 'proxy' | 'sluice'

export type Target = {
  readonly name: TargetName
  readonly port: number
  /** In front of every path. */
  readonly prefix: string
  readonly token: string | undefined
  /** The process that does the work in between; none for `direct`. */
  readonly pid: number | undefined
  readonly version: string
  stop(): Promise<void>
}

const NGINX = '/usr/sbin/nginx'

/** Debian's nginx with one worker, no logs and lines that stay open. */
async function startNginx(
  server: (directory: string) => string,
  files: (directory: string) => Promise<void>,
) {
  if (!existsSync(NGINX))
    throw new Error(`the benchmarks need nginx (Debian package nginx-light) in ${NGINX}`)
  const directory = await mkdtemp(join(tmpdir(), 'sluice-nginx-'))
  await files(directory)
  const config = join(directory, 'nginx.conf')
  await writeFile(
    config,
    `daemon off; master_process off; worker_processes 1; pid ${directory}/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; server_tokens off; keepalive_requests 1000000000; default_type application/json; sendfile on; tcp_nopush on;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/f;
  uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
${server(directory)}
}
`,
  )
  const child = start(NGINX, ['-c', config, '-e', 'stderr', '-p', directory])
  return {
    pid: child.pid,
    async stop() {
      await child.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The API: nginx again, since one on Node would be slower than what is measured through it. */
export async function startApi(blobBytes: number): Promise<Target> {
  const port = await freePort()
  const nginx = await startNginx(
    (directory) =>
      `  server { listen 127.0.0.1:${port}; root ${directory}; location = /blob { default_type application/octet-stream; } }`,
    async (directory) => {
      await run('mkdir', ['-p', join(directory, 'customers')])
      await writeFile(join(directory, 'customers', '1'), customer())
      await writeFile(join(directory, 'blob'), '')
      await truncate(join(directory, 'blob'), blobBytes)
    },
  )
  const version = await run('/bin/sh', ['-c', `${NGINX} -v 2>&1`])
  return {
    name: 'direct',
    port,
    prefix: '',
    token: undefined,
    pid: undefined,
    version: version.trim().replace(/^.*: /, ''),
    stop: nginx.stop,
  }
}

export const STARTERS: Readonly<Record<Exclude<TargetName, 'direct'>, (api: Target) => Promise<Target>>> = {
  async nginx(api) {
    const port = await freePort()
    const nginx = await startNginx(
      () => `  upstream api { server 127.0.0.1:${api.port}; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
      () => Promise.resolve(),
    )
    return { ...api, name: 'nginx', port, pid: nginx.pid, stop: nginx.stop }
  },
  relay: (api) => startRelay(api, 'relay', 'undici'),
  proxy: (api) => startRelay(api, 'proxy', 'node'),
  async sluice(api) {
    const text = await readFile(join(import.meta.dirname, 'sluice.yaml'), 'utf8')
    const sluice = await runSluice({ config: text.replace('54323', String(api.port)), ports: {} })
    return {
      name: 'sluice',
      port: sluice.ports['http'] ?? 0,
      prefix: '/c/bench',
      token: await sluice.token('bench'),
      pid: sluice.pid,
      version: `node ${process.version}`,
      stop: () => sluice.stop(),
    }
  },
}

async function startRelay(api: Target, name: 'relay' | 'proxy', kind: 'undici' | 'node'): Promise<Target> {
  const child = start(process.execPath, [join(import.meta.dirname, 'relay.ts'), kind, String(api.port)])
  const port = Number(await child.line())
  return {
    name,
    port,
    prefix: '',
    token: undefined,
    pid: child.pid,
    version: `node ${process.version}`,
    stop: () => child.stop(),
  }
}
