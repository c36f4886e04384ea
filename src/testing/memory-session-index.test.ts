import { MemorySessionIndex } from './memory-session-index.ts'
import { sessionIndexSuite } from './session-index-suite.ts'

sessionIndexSuite(() => new MemorySessionIndex())
