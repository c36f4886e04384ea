/**
 * Which commands there are, and what is loaded for one. A command loads its own file and nothing of the others: most of
 * what a short command takes is loading.
 */
import type { Command } from 'commander'

export type CommandGroup = {
  /** What may stand as the first word of the command line for it. */
  readonly names: readonly string[]
  readonly load: () => Promise<(program: Command) => void>
}

/** In the order in which a newcomer needs them. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  { names: ['demo'], load: async () => (await import('./demo.ts')).addDemoCommand },
  { names: ['init'], load: async () => (await import('./init/index.ts')).addInitCommand },
  { names: ['start'], load: async () => (await import('./start.ts')).addStartCommand },
  {
    names: ['status', 'connections'],
    load: async () => (await import('./overview.ts')).addOverviewCommands,
  },
  { names: ['query'], load: async () => (await import('./query.ts')).addQueryCommand },
  { names: ['run'], load: async () => (await import('./run.ts')).addRunCommand },
  {
    names: ['dsn', 'token', 'credentials'],
    load: async () => (await import('./credentials.ts')).addCredentialCommands,
  },
  { names: ['approvals'], load: async () => (await import('./approvals.ts')).addApprovalCommands },
  { names: ['sessions'], load: async () => (await import('./sessions/index.ts')).addSessionCommands },
  { names: ['audit'], load: async () => (await import('./audit/index.ts')).addAuditCommands },
  { names: ['people'], load: async () => (await import('./people.ts')).addPeopleCommands },
  {
    names: ['login', 'logout'],
    load: async () => (await import('./oneself/commands.ts')).addLoginCommands,
  },
  { names: ['identities'], load: async () => (await import('./people.ts')).addIdentityCommands },
  { names: ['secrets'], load: async () => (await import('./secrets.ts')).addSecretCommands },
  { names: ['config'], load: async () => (await import('./config.ts')).addConfigCommands },
  { names: ['policy'], load: async () => (await import('./policy/index.ts')).addPolicyCommands },
  { names: ['doctor'], load: async () => (await import('./doctor.ts')).addDoctorCommand },
  { names: ['witness'], load: async () => (await import('./witness.ts')).addWitnessCommands },
]

/** What the command line that begins with this word needs: the command's own group; all of them for help, or for a word that nobody has. */
export function groupsFor(word: string | undefined): readonly CommandGroup[] {
  if (word === '--version') return []
  const own = COMMAND_GROUPS.filter(({ names }) => word !== undefined && names.includes(word))
  return own.length === 0 ? COMMAND_GROUPS : own
}
