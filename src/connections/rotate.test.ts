import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { GatewayError, Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemorySealedSecretStore } from '../testing/memory-sealed-secret-store.ts'
import { parseMasterKeys } from './master-key.ts'
import type { Account } from './rotate.ts'
import { SecretRotation } from './rotate.ts'
import { SealedSecrets } from './sealed.ts'

const keys = parseMasterKeys(randomBytes(32).toString('base64'), 'test')

/** A server that has one password, and one gateway in front of it. */
class Stage implements Account {
  readonly store = new MemorySealedSecretStore()
  password = 'first'
  /** It takes any. */
  trusts = false
  replacing: () => void | Promise<void> = () => undefined
  sealed!: SealedSecrets
  rotation!: SecretRotation

  static async begun(): Promise<Stage> {
    const stage = new Stage()
    await stage.restart()
    await stage.sealed.set('crm', new Secret('first'), 'operator')
    return stage
  }

  /** Another gateway over the same store. */
  async restart(): Promise<void> {
    this.sealed = await SealedSecrets.open({
      store: this.store,
      keys,
      clock: new FakeClock(),
      random: randomBytes,
    })
    this.rotation = new SecretRotation(this.sealed, randomBytes)
  }

  get known(): string | undefined {
    return this.sealed.get('crm')?.reveal()
  }

  takes(secret: Secret): Promise<boolean> {
    return Promise.resolve(this.trusts || secret.reveal() === this.password)
  }

  async replace(now: Secret, next: Secret): Promise<void> {
    expect(await this.takes(now)).toBe(true)
    this.password = next.reveal()
    await this.replacing()
  }
}

describe('the rotation of a sealed secret', () => {
  it('leaves a new one in force and sealed, and the old one refused', async () => {
    const stage = await Stage.begun()
    expect(await stage.rotation.rotate('crm', stage, 'ada')).toEqual({ oldRefused: true, resumed: false })
    expect(stage.password).toMatch(/^[\w-]{43}$/)
    expect(stage.known).toBe(stage.password)
    expect(stage.sealed.list()).toMatchObject([{ name: 'crm', updatedBy: 'ada' }])
    const first = stage.password
    await stage.rotation.rotate('crm', stage, 'ada')
    expect(stage.password).not.toBe(first)
  })

  it('says when the upstream takes the old one as well', async () => {
    const stage = await Stage.begun()
    stage.trusts = true
    expect(await stage.rotation.rotate('crm', stage, 'ada')).toMatchObject({ oldRefused: false })
    // It begins anew each time: what was begun cannot be told from what is in force.
    expect(await stage.rotation.rotate('crm', stage, 'ada')).toMatchObject({ resumed: false })
  })

  it('that fails leaves the old one sealed, and can be tried again', async () => {
    const stage = await Stage.begun()
    stage.replacing = () => {
      stage.password = 'first'
      throw new GatewayError('conflict', 'not taken')
    }
    await expect(stage.rotation.rotate('crm', stage, 'ada')).rejects.toThrow('not taken')
    expect(stage.known).toBe('first')
    stage.replacing = () => undefined
    expect(await stage.rotation.rotate('crm', stage, 'ada')).toEqual({ oldRefused: true, resumed: false })
    expect(stage.known).toBe(stage.password)
  })

  it('that was killed after the upstream had the new one is finished by the next, which nobody else could', async () => {
    const stage = await Stage.begun()
    stage.replacing = () => new Promise(() => undefined)
    void stage.rotation.rotate('crm', stage, 'ada')
    await new Promise((resolve) => setImmediate(resolve))
    const inForce = stage.password
    expect(inForce).not.toBe('first')
    await stage.restart()
    expect(stage.known).toBe('first')
    stage.replacing = () => undefined
    expect(await stage.rotation.rotate('crm', stage, 'ada')).toEqual({ oldRefused: true, resumed: true })
    expect(stage.password).toBe(inForce)
    expect(stage.known).toBe(inForce)
  })

  it('that was killed before the upstream had it begins anew', async () => {
    const stage = await Stage.begun()
    stage.replacing = () => {
      stage.password = 'first'
      return new Promise(() => undefined)
    }
    void stage.rotation.rotate('crm', stage, 'ada')
    await new Promise((resolve) => setImmediate(resolve))
    await stage.restart()
    stage.replacing = () => undefined
    expect(await stage.rotation.rotate('crm', stage, 'ada')).toEqual({ oldRefused: true, resumed: false })
    expect(stage.known).toBe(stage.password)
  })

  it('is one at a time, and of what there is', async () => {
    const stage = await Stage.begun()
    const first = stage.rotation.rotate('crm', stage, 'ada')
    await expect(stage.rotation.rotate('crm', stage, 'ada')).rejects.toMatchObject({ code: 'conflict' })
    await first
    await expect(stage.rotation.rotate('crmm', stage, 'ada')).rejects.toMatchObject({ code: 'not_found' })
  })
})
