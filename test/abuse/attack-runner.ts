/** Runs an attack against a target and gives back every byte that came. */
import type { Message, Target } from '../differential/raw-client.ts'
import { query, RawClient } from '../differential/raw-client.ts'
import { ask, partsOf } from '../prove/transports.ts'
import type { Attack } from './techniques/attack.ts'
import { FLOW_ATTACKS } from './techniques/flows.ts'
import { SHAPE_ATTACKS } from './techniques/shapes.ts'
import { VALUE_ATTACKS } from './techniques/values.ts'

export const ATTACKS: readonly Attack[] = [...VALUE_ATTACKS, ...SHAPE_ATTACKS, ...FLOW_ATTACKS]

const WRITES =
  /^(CREATE|INSERT|UPDATE|DELETE|MERGE|ALTER|ANALYZE|WITH \w+ AS \((UPDATE|DELETE|INSERT|MERGE)|SELECT \w+ INTO|DO|COPY \(UPDATE|SET LOCAL|DECLARE|SELECT lo_|LISTEN|PREPARE)/i

/** Each in a conversation of its own; what it changed is undone. */
export async function attacked(attack: Attack, target: Target): Promise<Buffer> {
  const { client, greeting } = await RawClient.open(target)
  const seen: Message[] = [...greeting]
  try {
    const undo = attack.sql.some((each) => WRITES.test(each)) || attack.transport === 'cursor'
    const last = attack.sql.at(-1) ?? ''
    const parts = [...(undo ? ['BEGIN'] : []), ...attack.sql.slice(0, -1)].map((sql) => ({
      bytes: query(sql),
      readies: 1,
    }))
    seen.push(...(await ask(client, [...parts, ...partsOf(attack.transport, last, 0)])))
    if (undo && seen.at(-1)?.type === 'Z') seen.push(...(await ask(client, partsOf('simple', 'ROLLBACK', 0))))
    seen.push(...client.unread())
  } finally {
    await client.close()
  }
  return Buffer.concat(seen.map(({ type, body }) => Buffer.concat([Buffer.from(type, 'latin1'), body])))
}
