import type { Connection, OutwardKind } from '../../core/index.ts'
import { isGatewayError, OUTWARD_KINDS } from '../../core/index.ts'
import type { RecordedCommand, Rejudged } from '../../session/index.ts'
import { parseTarget } from '../../wire/http/index.ts'
import { judgedRequest } from './commands.ts'
import { isOwnPath } from './own/place.ts'
import { found } from './requests/outward.ts'
import { RouteTable } from './route-table.ts'
import type { HttpSettings } from './settings.ts'

const known = new WeakMap<Connection, RouteTable>()

export function routesOf(connection: Connection<HttpSettings>): RouteTable {
  const table = known.get(connection) ?? new RouteTable(connection)
  known.set(connection, table)
  return table
}

/** A recorded request under the routes and labels of a connection: its first line, and its body where it was recorded. */
export async function rejudgedRequest(
  { intent }: RecordedCommand,
  connection: Connection<HttpSettings>,
): Promise<Rejudged> {
  const at = intent.text.indexOf(' ')
  const method = intent.text.slice(0, at)
  const [parameter] = intent.parameters ?? []
  // A body that is sealed is not at hand here, nor is one that only rows of the recording have.
  const isSealed = parameter?.startsWith('[sealed ') === true
  const body = parameter == null ? new Uint8Array(0) : Buffer.from(parameter, 'base64')
  try {
    const target = parseTarget(intent.text.slice(at + 1))
    if (isOwnPath(target.path)) return { kind: 'own' }
    const route = routesOf(connection).find(method, target)
    if (isSealed && route.graphql !== undefined) return { kind: 'unknown', why: 'session' }
    const contentType = typeOf(body)
    const outward = await outwardOf(intent, { body, isSealed })
    const request = { method, target, contentType, body: isSealed ? undefined : body, outward }
    return { kind: 'facts', facts: judgedRequest(route, request).facts }
  } catch (error) {
    if (!isGatewayError(error)) throw error
    return { kind: 'refused', message: error.message }
  }
}

/** What was found when it was looked for; else what detectors find in what is recorded: only the gateway knows its secrets and masks. */
async function outwardOf(
  { text, outward }: RecordedCommand['intent'],
  { body, isSealed }: { readonly body: Uint8Array; readonly isSealed: boolean },
): Promise<readonly OutwardKind[]> {
  if (outward !== undefined) return OUTWARD_KINDS.filter((each) => outward.includes(each))
  const seen = await found({ target: text, headers: [], body }, { masks: [] })
  return isSealed ? OUTWARD_KINDS.filter((each) => each === 'unread' || seen.includes(each)) : seen
}

/** The fields of a request are not recorded: what begins like JSON was most likely that. */
export function typeOf(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 64)).toString('latin1').trimStart()
  if (text.startsWith('{"') || text.startsWith('[') || /^\{\s*"/.test(text) || text === '{}')
    return 'application/json'
  return /^[\w%.[\]-]+=/.test(text) ? 'application/x-www-form-urlencoded' : 'application/graphql'
}
