import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The Unix user the sample's server runs as; `undefined` ids mean: as whoever runs us. */
export type RunAs = { readonly uid: number; readonly gid: number } | undefined

/**
 * PostgreSQL refuses to run as root. Started as root, we run it as `postgres` where that user exists, else as `nobody`;
 * started as anyone else, as ourselves.
 */
export function unprivilegedUser(passwd = readPasswd()): RunAs {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    for (const line of passwd.split('\n')) {
      const [user, , uid, gid] = line.split(':')
      if (user === name && uid !== undefined && gid !== undefined && Number(uid) > 0) {
        return { uid: Number(uid), gid: Number(gid) }
      }
    }
  }
  // The number that Linux itself gives to ids it cannot map (user_namespaces(7)); needs no line in passwd.
  return { uid: 65_534, gid: 65_534 }
}

function readPasswd(): string {
  return readFileSync('/etc/passwd', 'utf8')
}

/** Whether that user can enter and write `directory`: asked of the kernel, because ACLs and parents count too. */
export function canWrite(runAs: RunAs, directory: string): boolean {
  const run = spawnSync('/bin/sh', ['-c', 'cd -- "$1" && test -w .', 'sh', directory], {
    ...runAs,
    stdio: 'ignore',
    cwd: '/',
  })
  return run.status === 0
}

/** Whether that user can start `program`, its libraries included. */
export function canStart(runAs: RunAs, program: string): boolean {
  return spawnSync(program, ['--version'], { ...runAs, stdio: 'ignore', cwd: '/' }).status === 0
}
