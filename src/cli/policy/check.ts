import { readFileSync } from 'node:fs'
import { styleText } from 'node:util'
import type { Command } from 'commander'
import type { Config } from '../../config/index.ts'
import type { LabelName, Rule, RuleWho } from '../../core/index.ts'
import { COMMAND_CLASSES, GatewayError, identityKey, isGatewayError } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { print } from '../context.ts'

type CheckFlags = Common & { readonly strict?: boolean }

export type Warning = { readonly file: string; readonly line: number; readonly message: string }

/** `sluice policy check`: what is wrong with rules and labels, and what of them has no effect. Needs no gateway. */
export function addCheck(group: Command): void {
  group
    .command('check')
    .argument('[file]', 'the configuration (default: sluice.yaml)')
    .option('--strict', 'a warning is an error, too')
    .description('check rules and labels of a file, without a gateway: errors, and what has no effect')
    .action(async (file: string | undefined, flags: CheckFlags) => check(file ?? 'sluice.yaml', flags))
}

async function check(file: string, flags: CheckFlags): Promise<void> {
  const text = readFileIn(file)
  // Loaded here, because every other command starts faster without the rule engine.
  const { readConfiguration } = await import('../../composition/configuration.ts')
  try {
    const { config } = readConfiguration(file, text, (error) => {
      throw error
    })
    const warnings = warningsOf(config)
    const ok = warnings.length === 0 || flags.strict !== true
    if (!ok) process.exitCode = 1
    const rules = config.policy.rules.length
    print(flags, { ok, rules, labels: config.labels.size, warnings }, () =>
      [
        ...warnings.map(
          (each) => `${styleText('yellow', 'warning')}  ${each.file}:${each.line}: ${each.message}`,
        ),
        `${ok ? styleText('green', 'ok') : styleText('red', 'not ok')}  ${file}: ${rules} rules, ${config.labels.size} labels, ${warnings.length} warnings`,
      ].join('\n'),
    )
  } catch (error) {
    if (!isGatewayError(error) || error.code !== 'invalid') throw error
    process.exitCode = 1
    if (flags.json === true) print(flags, { ok: false, problems: error.message.split('\n') }, () => '')
    else process.stderr.write(`${error.message}\n`)
  }
}

/** What loads and has no effect. Says nothing where an identity of an OIDC issuer might be meant. */
export function warningsOf(config: Config): Warning[] {
  const warnings: Warning[] = []
  const { rules } = config.policy
  for (const rule of rules) {
    const warn = (message: string): void => {
      warnings.push({ file: rule.ref.file, line: rule.ref.line, message: `"${rule.ref.name}" ${message}` })
    }
    if (config.issuers.length === 0 && !matchesSomebody(rule.who, config))
      warn('is about nobody that is configured.')
    for (const label of new Set([...rule.what.see, ...rule.what.filter])) {
      if (!rule.on.some((name) => carries(config, name, label)))
        warn(`names the label ${label}, which none of its connections carries.`)
    }
    if (rule.effect === 'permit' && rule.what.run.length > 0 && rules.some((other) => covers(other, rule)))
      warn('permits only what another rule forbids to everyone: it is dead.')
    const useless = rule.what.unreviewed.filter(
      (each) => rule.effect === 'permit' && !rules.some((other) => permitsRun(other, each, rule.on)),
    )
    if (useless.length > 0) warn(`lifts review of ${useless.join(', ')}, which no rule permits to run there.`)
  }
  for (const label of config.labels.keys()) {
    if (![...config.connections.keys()].some((name) => carries(config, name, label)))
      warnings.push({
        file: config.file,
        line: 1,
        message: `No connection gives the label ${label} to anything.`,
      })
  }
  return warnings
}

function matchesSomebody(who: RuleWho, config: Config): boolean {
  if (who === 'everyone') return true
  return config.local.some(
    ({ identity }) =>
      (who.groups === undefined || who.groups.some((each) => identity.groups.includes(each))) &&
      (who.identities === undefined || who.identities.includes(identityKey(identity))) &&
      (who.kinds === undefined || who.kinds.includes(identity.kind)),
  )
}

function carries(config: Config, name: Rule['on'][0], label: LabelName): boolean {
  return config.connections.get(name)?.labels.some((each) => each.label === label) === true
}

/** Whether `other` forbids, to everyone and always, all that this permit lets run. */
function covers(other: Rule, permit: Rule): boolean {
  return (
    other.effect === 'forbid' &&
    other.mode === 'enforce' &&
    other.who === 'everyone' &&
    other.when === undefined &&
    permit.on.every((each) => other.on.includes(each)) &&
    permit.what.run.every((each) => other.what.run.includes(each))
  )
}

function permitsRun(rule: Rule, wanted: (typeof COMMAND_CLASSES)[number], on: Rule['on']): boolean {
  return (
    rule.effect === 'permit' && rule.what.run.includes(wanted) && on.some((each) => rule.on.includes(each))
  )
}

export function readFileIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
    throw new GatewayError('not_found', `${file} cannot be read (${code}).`, { cause })
  }
}
