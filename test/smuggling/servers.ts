/**
 * nginx, HAProxy and Apache as Debian has them, each passing on to the same origin. What each took for a request stands in its own log
 * (method and target), and what it passed on of it, body included, is kept by the origin.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createListener } from 'node:net'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment } from '../support/process.ts'
import { eventually } from '../support/wait.ts'
import { dial } from '../abuse/bytes.ts'

export const SERVER_NAMES = ['nginx', 'haproxy', 'apache'] as const
export type ServerName = (typeof SERVER_NAMES)[number]

export type Passed = { readonly line: string; readonly body: string }

export type UpstreamServer = {
  readonly port: number
  /** `METHOD target HTTP/x` of each request, and whatever it put in place of one that it could not read. */
  logged(): Promise<readonly string[]>
  /** What reached the origin behind it. */
  readonly passed: readonly Passed[]
  stop(): Promise<void>
}

type Made = { readonly command: string; readonly args: readonly string[]; readonly config: string }

const MODULES = '/usr/lib/apache2/modules'

/** Limits are above those of the gateway, so that nothing is kept away by a server that the gateway let through. */
const SERVERS: Readonly<Record<ServerName, (folder: string, port: number, origin: number) => Made>> = {
  nginx: (folder, port, origin) => ({
    command: 'nginx',
    args: ['-c', join(folder, 'config'), '-e', 'stderr', '-p', folder],
    config: `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log stderr crit;
events { worker_connections 512; }
http {
  log_format request '$request'; access_log ${folder}/log request;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  large_client_header_buffers 8 128k; client_max_body_size 0;
  upstream origin { server 127.0.0.1:${origin}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
  }),
  haproxy: (folder, port, origin) => ({
    command: 'haproxy',
    args: ['-db', '-f', join(folder, 'config')],
    config: `global
  log stdout format raw local0
  tune.bufsize 131072
defaults
  mode http
  log global
  option dontlognull
  log-format "%r\\ %ST\\ %B\\ %ts"
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen all
  bind 127.0.0.1:${port}
  server origin 127.0.0.1:${origin}
`,
  }),
  apache: (folder, port, origin) => ({
    command: 'apache2',
    args: ['-f', join(folder, 'config'), '-DFOREGROUND'],
    config: `ServerName gateway
ServerRoot ${folder}
PidFile ${folder}/pid
Mutex posixsem
Listen 127.0.0.1:${port}
${['mpm_event', 'authz_core', 'proxy', 'proxy_http'].map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
ErrorLog ${folder}/errors
LogLevel crit
LogFormat "%r" request
CustomLog ${folder}/log request
LimitRequestLine 131072
LimitRequestFieldSize 131072
AllowEncodedSlashes NoDecode
ProxyRequests Off
ProxyPass / http://127.0.0.1:${origin}/
`,
  }),
}

/** Servers are not always on the PATH of somebody who is not root. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`

export async function startServer(name: ServerName): Promise<UpstreamServer> {
  const origin = await startOrigin()
  const folder = await mkdtemp(join(tmpdir(), `sluice-${name}-`))
  const port = await freePort()
  const { command, args, config } = SERVERS[name](folder, port, origin.port)
  await writeFile(join(folder, 'config'), config)
  const env = { ...cleanEnvironment(), PATH }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const ended = once(child, 'close')
  const last = (): boolean => child.kill('SIGKILL')
  process.once('exit', last)
  const stop = async (): Promise<void> => {
    process.off('exit', last)
    child.kill('SIGTERM')
    await ended
    await origin.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await eventually(`${name} at its port`, async () => {
      if (child.exitCode !== null) return true
      const socket = await dial(port)
      socket.destroy()
      return true
    })
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said.stderr}`)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    passed: origin.passed,
    async logged() {
      if (name !== 'haproxy') return linesOf(await readFile(join(folder, 'log'), 'latin1'))
      // Behind the line of the request stand its status, bytes and end: with the line alone HAProxy logs twice.
      return linesOf(said.stdout).map((line) => line.replace(/ -?\d+ \d+ [\w-]{2}$/, ''))
    },
    stop,
  }
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/** Keeps what it is asked, and answers with nothing that could be cached or taken for something else. */
async function startOrigin() {
  const passed: Passed[] = []
  const server = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.once('end', () => {
      passed.push({
        line: `${request.method} ${request.url}`,
        body: Buffer.concat(pieces).toString('latin1'),
      })
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    passed,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function freePort(): Promise<number> {
  const listener = createListener().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, 'close')
  return port
}
