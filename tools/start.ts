/** `npm start`: builds if the source has changed since the last build, then runs the demo. */
import { pathToFileURL } from 'node:url'
import { ENTRY, distIsCurrent } from './dist.ts'

if (!distIsCurrent()) {
  process.stderr.write('Building ...\n')
  const { build } = await import('./build.ts')
  await build()
}
process.argv.splice(1, 1, ENTRY, 'demo')
await import(pathToFileURL(ENTRY).href)
