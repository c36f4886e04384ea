/** Runs the command line in a checkout: the bundle while it is current, because it starts faster, else the source. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ENTRY, ROOT, distIsCurrent } from './dist.ts'

const entry = distIsCurrent() ? ENTRY : join(ROOT, 'src', 'cli', 'main.ts')
process.argv[1] = entry
await import(pathToFileURL(entry).href)
