/** The registry: one line per protocol. Whoever gets it holds descriptors and never compares names. */
import type { Protocol } from '../session/index.ts'
import { http } from './http/index.ts'
import { postgres } from './postgres/index.ts'

export const PROTOCOLS: readonly Protocol[] = [postgres, http]
