import type { NewNotification, Notification, NotificationStore } from '../notifications/port.ts'

/** Notifications in memory; what it holds outlives those who use it, as a disk would. */
export class MemoryNotificationStore implements NotificationStore {
  readonly all = new Map<string, Notification & { dueAt: number }>()
  readonly #claims = new Map<string, number>()

  add(notifications: readonly NewNotification[]): Promise<void> {
    for (const each of notifications)
      if (!this.all.has(each.id))
        this.all.set(each.id, { ...each, state: 'waiting', attempts: 0, dueAt: each.at })
    return Promise.resolve()
  }

  due(channel: string, now: number, max: number): Promise<readonly Notification[]> {
    const found = this.#waiting(channel).filter(({ dueAt }) => dueAt <= now)
    found.sort((a, b) => a.at - b.at || a.position - b.position || (a.id < b.id ? -1 : 1))
    return Promise.resolve(found.slice(0, max).map(withoutDue))
  }

  take({ id, attempts }: Notification, now: number, until: number): Promise<boolean> {
    const found = this.all.get(id)
    const isFree = found?.state === 'waiting' && found.attempts === attempts && found.dueAt <= now
    if (isFree) this.all.set(id, { ...found, attempts: attempts + 1, dueAt: until })
    return Promise.resolve(isFree)
  }

  postpone(id: string, until: number): Promise<void> {
    const found = this.all.get(id)
    if (found !== undefined) this.all.set(id, { ...found, dueAt: until })
    return Promise.resolve()
  }

  end(id: string, state: 'sent' | 'skipped' | 'undelivered', ref?: string): Promise<void> {
    const found = this.all.get(id)
    if (found !== undefined) this.all.set(id, { ...found, state, ...(ref === undefined ? {} : { ref }) })
    return Promise.resolve()
  }

  waiting(channel: string): Promise<number> {
    return Promise.resolve(this.#waiting(channel).length)
  }

  get(id: string): Promise<Notification | undefined> {
    const found = this.all.get(id)
    return Promise.resolve(found && withoutDue(found))
  }

  claim(channel: string, messageId: string, until: number): Promise<boolean> {
    const key = `${channel} ${messageId}`
    const isNew = !this.#claims.has(key)
    if (isNew) this.#claims.set(key, until)
    return Promise.resolve(isNew)
  }

  prune(before: number, now: number): Promise<void> {
    for (const [id, { at }] of this.all) if (at < before) this.all.delete(id)
    for (const [key, until] of this.#claims) if (until < now) this.#claims.delete(key)
    return Promise.resolve()
  }

  #waiting(channel: string) {
    return [...this.all.values()].filter((each) => each.channel === channel && each.state === 'waiting')
  }
}

function withoutDue(kept: Notification & { dueAt: number }): Notification {
  const { dueAt: _, ...notification } = kept
  return notification
}
