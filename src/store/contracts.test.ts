import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { approvalStoreContract } from '../testing/approval-store-contract.ts'
import { budgetStoreContract } from '../testing/budget-store-contract.ts'
import { credentialStoreContract } from '../testing/credential-store-contract.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import { MemoryBlockStore } from '../testing/memory-block-store.ts'
import { MemoryBudgetStore } from '../testing/memory-budget-store.ts'
import { MemoryCredentialStore } from '../testing/memory-credential-store.ts'
import { MemoryPeopleStore } from '../testing/memory-people-store.ts'
import { MemorySealedSecretStore } from '../testing/memory-sealed-secret-store.ts'
import { MemorySessionIndex } from '../testing/memory-session-index.ts'
import { blockStoreContract, peopleStoreContract } from '../testing/people-store-contract.ts'
import { sealedSecretStoreContract } from '../testing/sealed-secret-store-contract.ts'
import { sessionIndexContract } from '../testing/session-index-contract.ts'
import { Store } from './index.ts'

const opened: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

async function openStore(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  const store = await Store.open(folder, (error) => {
    throw error
  })
  opened.push(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })
  return store
}

credentialStoreContract('memory', async () => new MemoryCredentialStore())
credentialStoreContract('SQLite', async () => (await openStore()).credentials)
sealedSecretStoreContract('memory', async () => new MemorySealedSecretStore())
sealedSecretStoreContract('SQLite', async () => (await openStore()).sealedSecrets)
approvalStoreContract('memory', async () => new MemoryApprovalStore())
approvalStoreContract('SQLite', async () => (await openStore()).approvals)
peopleStoreContract('memory', async () => new MemoryPeopleStore())
peopleStoreContract('SQLite', async () => (await openStore()).people)
blockStoreContract('memory', async () => new MemoryBlockStore())
blockStoreContract('SQLite', async () => (await openStore()).blocks)
budgetStoreContract('memory', async () => new MemoryBudgetStore())
budgetStoreContract('SQLite', async () => (await openStore()).budgets)
sessionIndexContract('memory', async () => new MemorySessionIndex())
sessionIndexContract('SQLite', async () => (await openStore()).sessions)
