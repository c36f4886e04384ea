import type { Judgement } from '../../../session/index.ts'
import type { Mark, ParseResult } from '../../../sql/index.ts'
import { leavesSettings, marksOf } from '../../../sql/index.ts'
import type { Told } from './meant-settings.ts'

/** What commands do to the meaning of those behind them: it belongs to a judgement, and is found again with it. */
const TOLD = new WeakMap<Judgement, Told>()

const UNKNOWN: Mark = { kind: 'unknown' }
const CHANGE: Mark = { kind: 'change' }
const NOT_READ: Told = { marks: [UNKNOWN], reads: [], writes: [] }

/** A text was judged: every other one of the same key does the same. */
export function noteTold(judgement: Judgement, parsed: ParseResult): void {
  const marks = marksOf(parsed)
  if (marks === undefined) return
  const { statements, calls, reads, writes } = judgement.facts
  const leaves = leavesSettings(calls)
  const sure = marks.map((mark, i): Mark => {
    const commandClass = statements[i]?.class ?? 'opaque'
    if (commandClass === 'opaque') return UNKNOWN
    switch (mark.kind) {
      case 'none':
        return !leaves ? UNKNOWN : commandClass === 'read' || commandClass === 'write' ? mark : CHANGE
      case 'make':
      case 'define':
      case 'settle':
        return leaves ? mark : UNKNOWN
      default:
        return mark
    }
  })
  TOLD.set(judgement, { marks: sure, reads, writes })
}

/** Another judgement of the same command. */
export function copyTold(from: Judgement, to: Judgement): void {
  const told = TOLD.get(from)
  if (told !== undefined) TOLD.set(to, told)
}

export function toldOf(judgement: Judgement): Told {
  return TOLD.get(judgement) ?? NOT_READ
}
