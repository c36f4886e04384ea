/**
 * `sluice policy prove`: whether protected values come out to an identity, tried on a copy of the schema. The copy holds
 * no row of anybody's: one row of markers in each table. Every way that a value could take is tried twice, at the server
 * itself and through the gateway as that identity, and every byte of the answer is searched. Leaves labels, rules and
 * masks to the gateway that is asked. Promise: where the server itself shows a marker, the summary says what became of
 * it, and what could not be tried is in it by name.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import { GatewayError } from '../../../core/index.ts'
import { safe } from '../../../recording/index.ts'
import type { Common } from '../../context.ts'
import { print, UsageError } from '../../context.ts'
import { facts } from '../../table.ts'
import { prove } from './prove.ts'
import type { Signed, Summary } from './summary.ts'
import { isOwnKey, signSummary, verifySummary } from './summary.ts'

type ProveFlags = Common & {
  readonly on?: string
  readonly as?: string
  readonly for?: string
  readonly database?: string
  readonly scratchDatabase?: string
  readonly dsnEnv: string
  readonly out?: string
  readonly verify?: string
}

export function addProve(group: Command): void {
  group
    .command('prove')
    .description('try on a copy of the schema, filled with markers, whether protected values come out')
    .option('--on <connection>', 'where it would be asked')
    .option('--as <identity>', 'who would ask')
    .option('--for <identity>', 'on whose behalf')
    .option('--database <name>', 'whose schema is copied (default: the database of the DSN)')
    .option('--scratch-database <name>', 'where the copy is made: not there yet, or empty')
    .option(
      '--dsn-env <name>',
      'the variable that holds the DSN of a role that may make the copy',
      'SLUICE_PROVE_DSN',
    )
    .option('--out <file>', 'also write the signed summary there')
    .option('--verify <file>', 'only check the signature of a summary')
    .action(async (flags: ProveFlags) => {
      if (flags.verify === undefined) await run(flags)
      else check(flags, flags.verify)
    })
}

async function run(flags: ProveFlags): Promise<void> {
  const { on, as, scratchDatabase } = flags
  if (on === undefined || as === undefined || scratchDatabase === undefined)
    throw new UsageError('Say --on CONNECTION, --as IDENTITY and --scratch-database NAME; or --verify FILE.')
  const told = await prove({
    common: flags,
    connection: on,
    as,
    for: flags.for,
    dsn: dsnIn(flags),
    database: flags.database,
    scratch: scratchDatabase,
    random: () => randomBytes(4).readUInt32BE() / 0x1_0000_0000,
    at: new Date(),
  })
  const signed = signSummary(flags.data, told)
  if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(signed)}\n`)
  if (told.counts.leaked > 0 || !isProof(told)) process.exitCode = 1
  print(flags, signed, () => text(signed))
}

/** Something that the server itself gives away came back masked. Who may read nothing at all proves no mask. */
function isProof({ counts }: Summary): boolean {
  return counts.masked + counts.leaked > 0
}

/** Not on the command line, where everybody on the machine could read its password. */
function dsnIn({ dsnEnv }: ProveFlags): string {
  const dsn = process.env[dsnEnv]
  if (dsn === undefined || !/^postgres(ql)?:\/\//.test(dsn))
    throw new UsageError(
      `Put the DSN (postgresql://...) of a role that may read the schema and make the copy into ${dsnEnv}.`,
    )
  return dsn
}

function check(flags: ProveFlags, file: string): void {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('not_found', `${file} cannot be read.`, { cause })
  }
  const signed = verifySummary(content)
  const own = isOwnKey(flags.data, signed)
  if (own === false) process.exitCode = 1
  print(flags, { ok: own !== false, ownKey: own ?? null, ...signed }, () =>
    [
      own === false
        ? `${styleText('red', 'not ok')}  the signature fits, but by another key than that of ${flags.data}`
        : `${styleText('green', 'ok')}  the signature fits${own === true ? ', by the key of this gateway' : ''}`,
      '',
      text(signed),
    ].join('\n'),
  )
}

function text({ summary, publicKey }: Signed): string {
  const { counts } = summary
  const head =
    counts.leaked > 0
      ? styleText('red', `${counts.leaked} LEAKED`)
      : !isProof(summary)
        ? styleText('yellow', 'NOTHING PROVED: no probe came back masked; take an identity that may read')
        : styleText('green', 'NONE LEAKED')
  const list = (name: string, all: readonly string[]): (readonly [string, string])[] =>
    all.length === 0 ? [] : [[name, all.map(safe).join(', ')]]
  return [
    `${head}  ${safe(summary.identity)} on ${safe(summary.connection)}`,
    '',
    facts([
      ['probes', `${counts.run} sent; for ${counts.telling} of them the server itself shows a marker`],
      [
        'through the gateway',
        `${counts.refused} refused, ${counts.masked} masked, ${counts.leaked} leaked, ${counts.held} held for approval, ${counts.failed} failed`,
      ],
      ['marked', summary.marked.map(safe).join(', ')],
      ...list('seen in clear by this identity', summary.seen),
      ...list('without a marker', summary.unmarked),
      ...list('not copied', summary.notCopied),
      ['schema', summary.schema],
      ['policy version', summary.policyVersion],
      ['signed by', publicKey],
      ...summary.leaks.map((leak) => ['LEAK', safe(leak)] as const),
    ]),
  ].join('\n')
}
