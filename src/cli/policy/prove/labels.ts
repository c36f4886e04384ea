import { isGatewayError } from '../../../core/index.ts'
import type { Common } from '../../context.ts'
import type { Explained } from '../answer.ts'
import { explain } from '../answer.ts'
import type { CopiedRelation } from './definitions.ts'
import type { Mask } from './fill.ts'

/** Who asks, where. */
export type Asked = {
  readonly common: Common
  readonly connection: string
  readonly as: string
  readonly for?: string | undefined
  readonly database: string
}

export function explained(asked: Asked, text: string): Promise<Explained> {
  const { connection, as, database } = asked
  return explain(asked.common, {
    connection,
    as,
    database,
    text,
    ...(asked.for === undefined ? {} : { for: asked.for }),
  })
}

/** Relations of one question, so that no statement is too long. */
const TOGETHER = 40

/** By relation: the columns that carry labels, of views also those that are derived. The gateway itself says so. */
export async function labelledColumns(
  asked: Asked,
  relations: readonly CopiedRelation[],
): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (let at = 0; at < relations.length; at += TOGETHER) {
    const some = relations.slice(at, at + TOGETHER)
    const { outputs } = await explained(asked, some.map(everyColumn).join(';\n'))
    for (const { statement, name, labels } of outputs) {
      const relation = some[statement - 1]
      if (relation === undefined || labels.length === 0) continue
      found.set(relation.name, [...(found.get(relation.name) ?? []), name])
    }
  }
  return found
}

function everyColumn({ name, columns }: CopiedRelation): string {
  return `SELECT ${columns.map(({ quoted }) => quoted).join(', ')} FROM ${name}`
}

/** How each labelled column of one relation is shown to the identity: `seen` in clear, or behind which mask. */
export async function shownColumns(
  asked: Asked,
  relation: CopiedRelation,
  labelled: readonly string[],
): Promise<{ readonly seen: string[]; readonly masks: Map<string, Mask | undefined> }> {
  const seen: string[] = []
  const masks = new Map<string, Mask | undefined>()
  for (const column of relation.columns.filter(({ name }) => labelled.includes(name))) {
    const told = await explained(asked, `SELECT ${column.quoted} FROM ${relation.name}`)
    const mask = told.outputs[0]?.mask
    if (told.decision !== 'deny' && told.outputs.length === 1 && mask === undefined) {
      seen.push(column.name)
      continue
    }
    const keep = typeof mask?.['keep'] === 'number' ? mask['keep'] : undefined
    masks.set(column.name, mask === undefined ? undefined : { kind: mask.kind, keep })
  }
  return { seen, masks }
}

/** Whether a statement would wait for an approval. What the analysis cannot read is not held, but refused or failed. */
export async function isHeld(asked: Asked, statements: readonly string[]): Promise<boolean> {
  try {
    return (await explained(asked, statements.join(';\n'))).decision === 'hold'
  } catch (error) {
    if (isGatewayError(error) && error.code === 'invalid') return false
    throw error
  }
}
