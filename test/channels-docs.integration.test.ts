/** What docs/approvals-channels.md has people copy, run as it stands there. */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { Secret } from '../src/core/index.ts'
import { signed, verified } from '../src/notifications/webhook/sign.ts'

const PAGE = readFileSync(new URL('../docs/approvals-channels.md', import.meta.url), 'utf8')

function block(language: string, word: string): string {
  const found = [...PAGE.matchAll(/```(\w+)\n([\s\S]*?)```/g)].find(
    (each) => each[1] === language && each[2]?.includes(word),
  )
  if (found?.[2] === undefined) throw new Error(`no ${language} with ${word}`)
  return found[2]
}

it('the secret is one', () => {
  const line = block('sh', 'openssl rand -base64').split('|')[0] ?? ''
  const secret = execFileSync('sh', ['-c', line], { encoding: 'utf8' }).trim()
  expect(signed([new Secret(secret)], 'msg_1', 0, '')['webhook-signature']).toMatch(/^v1,/)
})

it('the answer is signed as the gateway takes it', () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const printing = `curl() { for each in "$@"; do printf '%s\\n' "$each"; done; }\n`
  const env = { ...process.env, TICKET: 'T-7K2M9QXY', SECRET: secret, SLUICE: 'https://sluice.example.com' }
  const lines = execFileSync('sh', ['-euc', printing + block('sh', 'openssl dgst')], {
    encoding: 'utf8',
    env,
  }).split('\n')
  const headers = Object.fromEntries(
    lines.filter((line) => line.startsWith('webhook-')).map((line) => line.split(': ') as [string, string]),
  )
  const body = lines[lines.indexOf('-d') + 1] ?? ''
  expect(verified([new Secret(secret)], headers, Buffer.from(body), Date.now())).toMatch(/^evt_/)
  expect(JSON.parse(body)).toEqual({
    type: 'approval.answer',
    ticket: 'T-7K2M9QXY',
    verdict: 'approve',
    user: 'u-17',
  })
  expect(lines).toContain('https://sluice.example.com/v1/channels/ops/answers')
})

it('the receiver takes what the gateway sends, once, and nothing else', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const file = new URL(`./receiver-${process.pid}.mjs`, import.meta.url)
  writeFileSync(file, block('js', 'standardwebhooks'))
  const port = await freePort()
  const receiver = spawn(process.execPath, [file.pathname], {
    env: { SLUICE_WEBHOOK_SECRET: secret, PORT: String(port) },
  })
  try {
    let said = ''
    let errors = ''
    receiver.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    receiver.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const body = JSON.stringify({
      type: 'approval.requested',
      data: { ticket: 'T-1', state: 'pending', link: 'l' },
    })
    const send = async (headers: Record<string, string>) => {
      for (let attempt = 0; ; attempt++) {
        try {
          return (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })).status
        } catch (error) {
          if (attempt === 100) throw new Error(errors, { cause: error })
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      }
    }
    const headers = signed([new Secret(secret)], 'msg_1', Date.now(), body)
    expect(await send(headers)).toBe(204)
    expect(await send(headers)).toBe(204)
    expect(await send({ ...headers, 'webhook-id': 'msg_2' })).toBe(401)
    expect(said).toBe('approval.requested T-1 pending l\n')
  } finally {
    receiver.kill()
    rmSync(file)
  }
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
