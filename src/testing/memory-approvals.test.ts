import { approvalStoreSuite } from './approval-store-suite.ts'
import { MemoryApprovalStore } from './memory-approvals.ts'

approvalStoreSuite(() => new MemoryApprovalStore())
