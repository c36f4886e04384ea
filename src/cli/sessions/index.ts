import type { Command } from 'commander'
import { z } from 'zod'
import type { Common } from '../context.ts'
import { call, print } from '../context.ts'
import type { ShownEntry } from './entries.ts'
import { entriesOf, newestSession } from './entries.ts'
import { addExport } from './export.ts'
import { addList } from './ls.ts'
import { addReplay } from './replay.ts'
import { isTold, opening, toldText } from './scenes.ts'
import { addTail } from './tail.ts'

/** Of what a client was told outside of commands. */
const TOLD_LINES = 50

export function addSessionCommands(program: Command): void {
  const group = program.command('sessions').description('who used what, and the recording of it')
  addList(group)
  group
    .command('show')
    .argument('[id]', 'a session; the newest when not given')
    .description('show the recording of a session: every command, decision and outcome')
    .option('--results', 'with --json: the bytes of results as well, in base64')
    .action(show)
  addReplay(group)
  addExport(group)
  addTail(group)
  group
    .command('end')
    .argument('<id>')
    .description('end a live session now')
    .option('--reason <text>', 'told to its client')
    .action(async (id: string, flags: Common & { readonly reason?: string }) => {
      const path = `/v1/sessions/${encodeURIComponent(id)}/end`
      const body = flags.reason === undefined ? {} : { reason: flags.reason }
      const answer = await call(flags, z.object({ session: z.string() }), 'POST', path, body)
      print(flags, answer, () => `${answer.session} is ended.`)
    })
}

async function show(id: string | undefined, flags: Common & { readonly results?: boolean }): Promise<void> {
  const session = id ?? (await newestSession(flags))
  const entries: ShownEntry[] = []
  let protocol = ''
  for await (const entry of entriesOf(flags, session, 'show', flags.results === true)) {
    if (entry.kind === 'open') ({ protocol } = opening.parse(entry.head))
    if (flags.json === true) entries.push(entry)
    else process.stdout.write(`${isTold(entry) ? toldText(entry, protocol, TOLD_LINES) : entry.text}\n`)
  }
  if (flags.json === true) print(flags, { session, entries }, () => '')
}
