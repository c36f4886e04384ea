'use strict'
/*
 * What the npm scripts call: `node bin/launch.cjs <verb> ...`. Installs what is missing, then runs the verb's script
 * with the Node that the project pins. Any Node from 12 on can run this file; nothing else has to run there.
 */
const path = require('path')
const install = require('./install.cjs')
const node = require('./node.cjs')

const ROOT = path.dirname(__dirname)

const VERBS = {
  start: { script: 'tools/start.ts', does: 'installs, builds and runs the demo' },
  dev: { script: 'tools/dev.ts', does: 'the demo from source, restarted at every change' },
  sluice: { script: 'tools/sluice.ts', does: 'the command line: npm run -s sluice -- --help' },
  build: { script: 'tools/build.ts', does: 'writes dist/' },
  check: { script: 'tools/check.ts', does: 'types, format, lint, architecture, unit and conformance tests' },
  test: { script: 'tools/test.ts', does: 'check, and everything against real servers and real clients' },
  prove: { script: 'tools/prove.ts', does: 'the proofs with full counts; writes docs/proofs/' },
  promises: { script: 'tools/promises.ts', does: 'brings the lists in docs/promises.md up to date' },
  schema: { script: 'tools/schema.ts', does: 'brings schema/sluice.schema.json up to date' },
  bench: { script: 'bench/run.ts', does: 'the benchmarks' },
  regress: {
    script: 'test/regress/run.ts',
    does: "PostgreSQL's own regression suite, direct and through Sluice",
  },
}

function main() {
  const name = process.argv[2]
  const verb = Object.prototype.hasOwnProperty.call(VERBS, name) ? VERBS[name] : undefined
  if (verb === undefined) {
    console.error('usage: node bin/launch.cjs VERB [ARGUMENTS]')
    Object.keys(VERBS).forEach(function (each) {
      console.error('  ' + each.padEnd(9) + VERBS[each].does)
    })
    process.exit(64)
  }
  if (!install.ensureInstalled(ROOT)) process.exit(1)
  const cache = path.join(ROOT, 'node_modules', '.cache', 'compile')
  return node.runScript(path.join(ROOT, verb.script), process.argv.slice(3), cache)
}

void main()
