/** Who is counted, and who is muted, whoever an agent acts for: J-01. */
import { beforeEach, expect, it } from 'vitest'
import { brand, type ConnectionName, type IdentityChain, LIMITS } from '../core/index.ts'
import { ADA, AGENT, ApprovalStage, approver } from '../testing/approval-stage.ts'

const [dave, gina] = [approver('dave'), approver('gina')]
const limited = expect.objectContaining({ code: 'limit_exceeded' })
const refused = expect.objectContaining({ code: 'approval_refused' })

let stage: ApprovalStage
beforeEach(async () => {
  stage = await ApprovalStage.open()
})

let n = 0
const ask = (chain: IdentityChain, connection = 'crm') =>
  stage.ask({ chain, connection: brand<ConnectionName>(connection), fingerprint: `${++n}`, kin: `${n}` })

it('J-01: open requests are counted for who acts and for whom it is, together', async () => {
  for (let each = 0; each < LIMITS.ticketsOpenMax; each++) await ask(each % 2 === 0 ? [AGENT, dave] : [AGENT])
  for (const chain of [[AGENT], [AGENT, dave], [AGENT, gina]] as const)
    await expect(ask(chain)).rejects.toEqual(limited)
  await ask([dave])
  await ask([{ ...AGENT, name: 'another' }, gina])
})

it('J-01: a mute is for who acted and for whom it was, on that connection, until it is lifted', async () => {
  const ticket = await ask([AGENT, dave])
  const proof = { chain: [ADA] as const, at: stage.clock.now(), method: 'code' as const }
  await stage.desk.answer(ticket, { verdict: 'refuse', proof, through: 'cli', muteMs: 60_000 })
  for (const chain of [[AGENT], [AGENT, gina], [dave], [{ ...AGENT, name: 'another' }, dave]] as const)
    await expect(ask(chain)).rejects.toEqual(refused)
  await ask([gina])
  await ask([AGENT, gina], 'billing')
  await stage.desk.unmute(ticket, { proof, through: 'cli' })
  await ask([AGENT, gina])
  await ask([dave])
})
