import type { Network } from '../core/index.ts'
import { dial } from './dial.ts'
import { secureClient, secureServer } from './tls.ts'

/** The real network, as the port that adapters are handed. */
export const network: Network = { dial, secureServer, secureClient }
