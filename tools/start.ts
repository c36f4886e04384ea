/** `npm start`: builds if the source has changed since the last build, then runs the demo. */
import { pathToFileURL } from 'node:url'
import { ENTRY, distIsCurrent } from './dist.ts'

async function ready(): Promise<boolean> {
  if (distIsCurrent()) return true
  process.stderr.write('Building ...\n')
  const { built } = await import('./build.ts')
  return built()
}

if (await ready()) {
  process.argv.splice(1, 1, ENTRY, 'demo')
  await import(pathToFileURL(ENTRY).href)
} else process.exitCode = 1
