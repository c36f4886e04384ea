import type { Effect, Own, Path, Role } from './effect.ts'

/**
 * What a session has changed for itself: where names are looked for, as whom, and what it has made that the catalogue
 * cannot show yet (temporary relations, those of its open transaction). Values, never changed: what puts an earlier
 * state back is to take it up again. Computed from statements alone.
 */
export type Overlay = {
  readonly now: Frame
  /** As it was when the open transaction began. */
  readonly base: Frame
  readonly savepoints: readonly { readonly name: string; readonly frame: Frame }[]
}

export type Frame = {
  /** Schemas as set; absent: what the session began with. The local ones end with the transaction. */
  readonly path?: Path
  readonly pathLocal?: Path
  readonly role?: Role
  readonly roleLocal?: Role
  /** Relations and types by their bare names. */
  readonly made: ReadonlyMap<string, Own>
  /** A statement has run that may have changed any of it. */
  readonly lost: boolean
}

const FIRST: Frame = { made: new Map(), lost: false }
export const NO_OVERLAY: Overlay = { now: FIRST, base: FIRST, savepoints: [] }

/** As many names as one session may have made; the next one is not known then. */
const MADE_MAX = 1_000

/** Nothing has changed since the transaction began. */
export function isSettled({ now, base, savepoints }: Overlay): boolean {
  return now === base && savepoints.length === 0
}

/** Whether a statement behind an effect may mean something else than one before it. */
export function moves(overlay: Overlay, effect: Effect): boolean {
  switch (effect.kind) {
    case 'begin':
    case 'run':
    case 'fetch':
      return false
    // A COMMIT that fails, or ends a transaction that has failed, takes back what was changed; of a savepoint it depends on
    // whether there is one.
    case 'commit':
    case 'rollback':
    case 'rollbackTo':
    case 'savepoint':
    case 'release':
    case 'settle':
      return !isSettled(overlay)
    case 'prepare':
    case 'deallocate':
    case 'declare':
    case 'close':
      return true
    default:
      return overlayAfter(overlay, effect).now !== overlay.now
  }
}

/** An earlier state taken up again, without forgetting what is not known any more. */
export function overlayAgain(before: Overlay, overlay: Overlay): Overlay {
  if (!overlay.now.lost && ![...overlay.now.made.values()].some((own) => own.tainted)) return before
  const tainted = overlayAfter(before, { kind: 'taint' })
  return overlay.now.lost ? overlayAfter(tainted, { kind: 'lose' }) : tainted
}

/** The state after an effect. What is about prepared statements and cursors leaves it as it is. */
export function overlayAfter(overlay: Overlay, effect: Effect): Overlay {
  const { now } = overlay
  switch (effect.kind) {
    case 'settle':
    case 'commit': {
      const settled = committed(now)
      return { now: settled, base: settled, savepoints: [] }
    }
    case 'rollback':
      return { now: overlay.base, base: overlay.base, savepoints: [] }
    case 'savepoint':
      return { ...overlay, savepoints: [...overlay.savepoints, { name: effect.name, frame: now }] }
    case 'release': {
      const at = lastOf(overlay, effect.name)
      return at < 0 ? overlay : { ...overlay, savepoints: overlay.savepoints.slice(0, at) }
    }
    case 'rollbackTo': {
      const at = lastOf(overlay, effect.name)
      const savepoint = overlay.savepoints[at]
      if (savepoint === undefined) return overlay
      return { ...overlay, now: savepoint.frame, savepoints: overlay.savepoints.slice(0, at + 1) }
    }
    case 'path':
    case 'role':
    case 'make':
    case 'drop':
    case 'discard':
      return { ...overlay, now: frameAfter(now, effect) }
    case 'taint':
    case 'lose':
      // No rollback brings back what was known.
      return {
        now: frameAfter(now, effect),
        base: frameAfter(overlay.base, effect),
        savepoints: overlay.savepoints.map(({ name, frame }) => ({ name, frame: frameAfter(frame, effect) })),
      }
    default:
      return overlay
  }
}

function frameAfter(now: Frame, effect: Effect): Frame {
  switch (effect.kind) {
    case 'path': {
      if (effect.local) return { ...now, pathLocal: effect.path }
      const { pathLocal: _ended, ...rest } = now
      return { ...rest, path: effect.path }
    }
    case 'role': {
      if (effect.local) return { ...now, roleLocal: effect.role }
      const { roleLocal: _ended, ...rest } = now
      return { ...rest, role: effect.role }
    }
    case 'make': {
      if (now.made.size >= MADE_MAX) return now
      return { ...now, made: new Map(now.made).set(effect.name, effect.own) }
    }
    case 'drop':
      return withMade(now, (name) => !effect.names.includes(name))
    case 'discard':
      if (effect.what === 'all') return FIRST
      return withMade(now, (_name, own) => !own.temporary)
    case 'taint': {
      if ([...now.made.values()].every((own) => own.tainted)) return now
      const made = new Map([...now.made].map(([name, own]) => [name, { ...own, tainted: true }]))
      return { ...now, made }
    }
    case 'lose':
      return now.lost ? now : { ...now, lost: true }
    default:
      return now
  }
}

/** What is left at the end of a transaction: what others see from now on is in the catalogue. */
function committed(now: Frame): Frame {
  const kept = withMade(now, (_name, own) => own.temporary && !own.endsWithTransaction)
  if (kept.pathLocal === undefined && kept.roleLocal === undefined) return kept
  const { pathLocal: _path, roleLocal: _role, ...rest } = kept
  return rest
}

function withMade(frame: Frame, keeps: (name: string, own: Own) => boolean): Frame {
  const made = new Map([...frame.made].filter(([name, own]) => keeps(name, own)))
  return made.size === frame.made.size ? frame : { ...frame, made }
}

function lastOf(overlay: Overlay, name: string): number {
  return overlay.savepoints.findLastIndex((each) => each.name === name)
}
