import type { CommandClass, ConnectionName, LabelName, Reason, RuleRef } from '../core/index.ts'

/**
 * What a refusal or a hold tells the client: an order that a person or a model can follow. Names of rules, labels and
 * connections come from the configuration; nothing of the client's own text is repeated.
 */

const MESSAGE_MAX = 199

/** Printable ASCII and short enough for every protocol. */
function sentence(text: string): string {
  const plain = text
    .replace(/\s+/g, ' ')
    .replace(/[^\x20-\x7e]/g, '?')
    .trim()
  return plain.length <= MESSAGE_MAX ? plain : `${plain.slice(0, MESSAGE_MAX - 3)}...`
}

/** A name inside a sentence, short enough to leave room for the rest. */
function named(name: string): string {
  return name.length <= 60 ? name : `${name.slice(0, 57)}...`
}

function reason(message: string, remedy: string, retry: Reason['retry']): Reason {
  return { message: sentence(message), remedy: sentence(remedy), retry }
}

const WHAT = {
  read: 'read commands',
  write: 'commands that change rows',
  define: 'commands that change definitions',
  administer: 'commands that change roles or settings',
  opaque: 'commands whose effect cannot be seen before they run',
} as const satisfies Record<CommandClass, string>

const CHANGE_RULES = 'An administrator of the gateway can permit it with a rule.'

export function classNotPermitted(
  wanted: CommandClass,
  connection: ConnectionName,
  others: readonly CommandClass[],
): Reason {
  const on = named(connection)
  if (others.length === 0) {
    return reason(`Stop: no rule permits you to run ${WHAT[wanted]} on ${on}.`, CHANGE_RULES, 'never')
  }
  return reason(
    `Do not send ${WHAT[wanted]} to ${on}: no rule permits them. You may send ${list(others.map((each) => WHAT[each]))}.`,
    CHANGE_RULES,
    'only-if-changed',
  )
}

export function classForbidden(wanted: CommandClass, connection: ConnectionName, rule: RuleRef): Reason {
  return reason(
    `Do not send this to ${named(connection)}: the rule "${named(rule.name)}" forbids ${WHAT[wanted]} here.`,
    `An administrator of the gateway can change the rule "${named(rule.name)}".`,
    'only-if-changed',
  )
}

export function filterNotPermitted(label: LabelName): Reason {
  return reason(
    `Use data labelled ${named(label)} only as a plain output or in = with a value: it is protected and no rule permits more.`,
    `Select it as a plain output instead, where it is masked. A rule that permits filter or see on ${named(label)} lifts this.`,
    'only-if-changed',
  )
}

export function filterForbidden(label: LabelName, rule: RuleRef): Reason {
  return reason(
    `Use data labelled ${named(label)} only as a plain output or in = with a value: the rule "${named(rule.name)}" forbids more.`,
    `Leave it out of every condition. An administrator of the gateway can change the rule "${named(rule.name)}".`,
    'only-if-changed',
  )
}

export function storeNotPermitted(label: LabelName): Reason {
  return reason(
    `Do not write to columns labelled ${named(label)}: what is stored there is protected and no rule permits it.`,
    `Leave these columns out of the write. A rule that permits store or see on ${named(label)} lifts this.`,
    'only-if-changed',
  )
}

export function storeForbidden(label: LabelName, rule: RuleRef): Reason {
  return reason(
    `Do not write to columns labelled ${named(label)}: the rule "${named(rule.name)}" forbids it.`,
    `Leave these columns out of the write. An administrator of the gateway can change the rule "${named(rule.name)}".`,
    'only-if-changed',
  )
}

/** The analyser knows what is wrong with the command and says so. */
export function escapeRefused(why: string): Reason {
  return reason(
    why === '' ? 'Do not use protected data in this way: masking cannot follow it.' : why,
    'Select protected columns as plain outputs, where they are masked, or leave them out.',
    'only-if-changed',
  )
}

export function reviewNeeded(classes: readonly CommandClass[], connection: ConnectionName): Reason {
  return reason(
    `Wait for approval: ${list(classes.map((each) => WHAT[each]))} on ${named(connection)} need a person to look first.`,
    'A person with the role approver can approve it; then send exactly the same command again if it has ended.',
    'unchanged-after-approval',
  )
}

export function connectionUnknown(): Reason {
  return reason(
    'Use another connection: this one is not in the configuration in force.',
    'An administrator of the gateway can configure it.',
    'never',
  )
}

export function engineFailed(): Reason {
  return reason(
    'Do not send this again as it is: the gateway could not decide it, and so did not run it.',
    'Send a simpler command, and report this one to the operator of the gateway.',
    'only-if-changed',
  )
}

export function factUnknown(name: string): Reason {
  return reason(
    `Do not send this: the gateway could not tell its "${named(name)}", which the rules need to know.`,
    'Send a simpler command. If this is one, report it to the operator of the gateway.',
    'only-if-changed',
  )
}

function list(words: readonly string[]): string {
  if (words.length <= 1) return words.join('')
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
