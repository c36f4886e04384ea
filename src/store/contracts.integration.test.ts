import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll } from 'vitest'
import { approvalStoreContract } from '../testing/approval-store-contract.ts'
import { budgetStoreContract } from '../testing/budget-store-contract.ts'
import { credentialStoreContract } from '../testing/credential-store-contract.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import { MemoryBlockStore } from '../testing/memory-block-store.ts'
import { MemoryBudgetStore } from '../testing/memory-budget-store.ts'
import { MemoryCredentialStore } from '../testing/memory-credential-store.ts'
import { MemoryNotificationStore } from '../testing/memory-notifications.ts'
import { MemoryPeopleStore } from '../testing/memory-people-store.ts'
import { MemorySealedSecretStore } from '../testing/memory-sealed-secret-store.ts'
import { MemorySessionIndex } from '../testing/memory-session-index.ts'
import { notificationStoreContract } from '../testing/notification-store-contract.ts'
import { blockStoreContract, peopleStoreContract } from '../testing/people-store-contract.ts'
import { sealedSecretStoreContract } from '../testing/sealed-secret-store-contract.ts'
import { sessionIndexContract } from '../testing/session-index-contract.ts'
import { Store } from './index.ts'

let folder: string
let store: Store

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  store = await Store.open(folder, (error) => {
    throw error
  })
})

afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

/** Starting a store takes long: all tests use one, emptied in between past its back. */
async function openStore(): Promise<Store> {
  const database = new DatabaseSync(join(folder, 'store.sqlite'), { enableForeignKeyConstraints: false })
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()
  for (const { name } of tables)
    if (!/^(kysely|sqlite)_/.test(String(name))) database.exec(`DELETE FROM "${String(name)}"`)
  database.close()
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
notificationStoreContract('memory', async () => new MemoryNotificationStore())
notificationStoreContract('SQLite', async () => (await openStore()).notifications)
sessionIndexContract('memory', async () => new MemorySessionIndex())
sessionIndexContract('SQLite', async () => (await openStore()).sessions)
