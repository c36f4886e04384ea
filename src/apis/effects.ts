import type { CommandClass } from '../core/index.ts'

/**
 * What a request does to the world, as far as somebody says or its method and name tell.
 * - `read` changes nothing; `export` reads many records at once;
 * - `write` changes data; `destructive` removes it;
 * - `creates-a-credential` makes something to log in with; `changes-visibility` changes who may see or do what;
 * - `sends-outward` reaches people or systems beyond the API.
 */
export const EFFECTS = [
  'read',
  'export',
  'write',
  'destructive',
  'sends-outward',
  'changes-visibility',
  'creates-a-credential',
] as const

export type Effect = (typeof EFFECTS)[number]

/** The class that policies know. Who may write data may not thereby hand out keys or access. */
const CLASSES = {
  read: 'read',
  export: 'read',
  write: 'write',
  destructive: 'write',
  'sends-outward': 'write',
  'changes-visibility': 'administer',
  'creates-a-credential': 'administer',
} as const satisfies Record<Effect, CommandClass>

export function classOfEffect(effect: Effect): CommandClass {
  return CLASSES[effect]
}

/** The one that weighs most, as they are listed; without any it is `read`. */
export function gravest(effects: readonly Effect[]): Effect {
  return effects.reduce<Effect>(
    (worst, each) => (EFFECTS.indexOf(each) > EFFECTS.indexOf(worst) ? each : worst),
    'read',
  )
}

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

const CREDENTIALS = /^(?:credentials?|tokens?|passwords?|secrets?|keys?|apikeys?|certificates?)$/
const VISIBILITY =
  /^(?:share|shares|publish|unpublish|visibility|permissions?|acl|acls|grants?|roles?|collaborators?|invite|invites|invitations?|members?|memberships?)$/
const OUTWARD = /^(?:send|notify|emails?|mails?|messages?|sms|webhooks?|hooks|forward|dispatch|broadcast)$/
const EXPORTS = /^(?:export|exports|dump|dumps|download|downloads|backup|backups|bulk|report|reports)$/
const REMOVALS = /^(?:delete|deletes|remove|destroy|purge|drop|erase|wipe|truncate|cancel|revoke)$/
const MAKING = /^(?:create|add|new|make|generate|issue|mint|rotate|regenerate|reset)$/

/**
 * What a request probably does, by its method and the words of its path or name. A guess errs to the graver side, and whoever
 * describes the API says it better.
 */
export function guessedEffect(method: string, name: string): Effect {
  const words = wordsOf(name)
  const has = (pattern: RegExp): boolean => words.some((word) => pattern.test(word))
  if (READING.has(method)) return has(EXPORTS) ? 'export' : 'read'
  if (method === 'DELETE') return has(VISIBILITY) ? 'changes-visibility' : 'destructive'
  if (has(REMOVALS)) return 'destructive'
  if (has(CREDENTIALS)) return 'creates-a-credential'
  if (has(VISIBILITY)) return 'changes-visibility'
  return has(OUTWARD) ? 'sends-outward' : 'write'
}

/** The same of a field of a mutation, which has no method: a key that is only changed is no new one. */
export function guessedMutation(field: string): Effect {
  const words = wordsOf(field)
  const guessed = guessedEffect('POST', field)
  if (guessed !== 'creates-a-credential') return guessed
  return words.some((word) => MAKING.test(word)) ? guessed : 'write'
}

/** `/api-keys/{id}/rotateSSHKey` is api, keys, rotate, ssh, key: names in braces say nothing of what is done. */
function wordsOf(name: string): string[] {
  return name
    .replaceAll(/\{[^}]*\}/g, ' ')
    .replaceAll(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, '$1$3 $2$4')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
}
