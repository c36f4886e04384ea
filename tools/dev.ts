/** `npm run dev`: the demo from source, restarted whenever a file of `src/` changes. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './dist.ts'

const source = join(ROOT, 'src')
const child = spawn(
  process.execPath,
  [
    '--watch-path',
    source,
    '--watch-preserve-output',
    join(source, 'cli', 'main.ts'),
    'demo',
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
)
for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
// Ctrl-C reaches the child by itself; this process only has to outlive it.
process.on('SIGINT', () => undefined)
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGTERM' ? 0 : 1)
})
