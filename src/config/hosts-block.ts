import type { ConnectionName, HostNames } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { References } from './references.ts'
import type { HostsBlock } from './schema-hosts.ts'
import type { Path } from './tree.ts'

/**
 * The hosts of a listener. What could be said of two connections, or of one and the gateway itself, is refused. `connections`: those
 * of the listener's protocol; `path`: of the block.
 */
export function hostsOf(
  block: HostsBlock,
  connections: readonly ConnectionName[],
  path: Path,
  references: References,
): HostNames {
  const below = new Set(block.below)
  for (const [i, each] of block.below.entries()) {
    const at = [...path, 'below', i]
    if (block.below.indexOf(each) !== i)
      references.refuse(at, `expected each host once, got "${each}" again`, 'remove it')
    const parent = parentOf(each)
    if (!below.has(parent)) continue
    references.refuse(
      at,
      `expected a host that is no connection's, but "${each}" is one below "${parent}"`,
      'remove one of the two',
    )
  }
  const names = new Map<string, ConnectionName>()
  for (const [host, name] of Object.entries(block.names)) {
    const at = [...path, 'names', host]
    references.name('a connection that this listener serves', name, connections, at)
    if (below.has(host)) {
      references.refuse(
        at,
        `expected a host of its own, but "${host}" stands under "below"`,
        'remove one of them',
      )
    }
    const label = host.slice(0, host.indexOf('.'))
    if (below.has(parentOf(host)) && label !== name && connections.some((each) => each === label)) {
      references.refuse(
        at,
        `expected one connection for each host, but "${host}" is that of "${label}" as well`,
        `write "${label}", or another host`,
      )
    }
    names.set(host, brand<ConnectionName>(name))
  }
  return { below: block.below, names }
}

function parentOf(host: string): string {
  return host.slice(host.indexOf('.') + 1)
}
