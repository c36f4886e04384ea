import type { Command } from 'commander'
import { z } from 'zod'
import type { Common } from './context.ts'
import { call, print, UsageError } from './context.ts'
import { askHidden, readStdin } from './prompt.ts'
import { listing, relative } from './table.ts'

const named = z.object({ name: z.string() })
const secrets = z.object({
  secrets: z.array(z.object({ name: z.string(), updatedAt: z.number(), updatedBy: z.string() })),
})

export function addSecretCommands(program: Command): void {
  const group = program.command('secrets').description('sealed secrets; their values cannot be read back')
  group
    .command('set')
    .argument('<name>', 'what ${store:NAME} in the configuration says')
    .description('seal a secret that is read from standard input')
    .action(async (name: string, common: Common) => {
      const value = process.stdin.isTTY
        ? await askHidden(`Value of ${name} (not shown): `)
        : await readStdin()
      if (value === '') throw new UsageError('Give the value on standard input; it must not be empty.')
      const answer = await call(common, named, 'PUT', `/v1/secrets/${encodeURIComponent(name)}`, { value })
      print(common, answer, () => `${answer.name} is sealed; the next session uses it.`)
    })
  group
    .command('ls')
    .description('list their names')
    .action(async (common: Common) => {
      const answer = await call(common, secrets, 'GET', '/v1/secrets')
      print(common, answer, () =>
        listing(
          [{ title: 'NAME' }, { title: 'SET' }, { title: 'BY' }],
          answer.secrets.map((each) => [each.name, relative(each.updatedAt), each.updatedBy]),
          'No secrets are sealed.',
        ),
      )
    })
  group
    .command('rm')
    .argument('<name>')
    .description('remove one')
    .action(async (name: string, common: Common) => {
      const answer = await call(common, named, 'DELETE', `/v1/secrets/${encodeURIComponent(name)}`)
      print(common, answer, () => `${answer.name} is removed.`)
    })
}
