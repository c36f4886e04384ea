import type { Kysely } from 'kysely'
import type { NewNotification, Notification, NotificationStore } from '../notifications/port.ts'
import { brand, type Ticket } from '../core/index.ts'
import type { NotificationRow, Tables } from './schema.ts'

/** What channels are to be told: each row is one notification, and is sent by whoever takes it. */
export class NotificationRepository implements NotificationStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async add(notifications: readonly NewNotification[]): Promise<void> {
    if (notifications.length === 0) return
    await this.#db
      .insertInto('notifications')
      .values(
        notifications.map((each) => ({
          ...each,
          state: 'waiting',
          due_at: each.at,
          attempts: 0,
          ref: null,
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }

  async due(channel: string, now: number, max: number): Promise<readonly Notification[]> {
    const rows = await this.#db
      .selectFrom('notifications')
      .selectAll()
      .where('channel', '=', channel)
      .where('state', '=', 'waiting')
      .where('due_at', '<=', now)
      .orderBy('at')
      .orderBy('position')
      .orderBy('id')
      .limit(max)
      .execute()
    return rows.map(fromRow)
  }

  async take({ id, attempts }: Notification, now: number, until: number): Promise<boolean> {
    const result = await this.#db
      .updateTable('notifications')
      .set({ due_at: until, attempts: attempts + 1 })
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      .where('attempts', '=', attempts)
      .where('due_at', '<=', now)
      .executeTakeFirst()
    return result.numUpdatedRows === 1n
  }

  async postpone(id: string, until: number): Promise<void> {
    await this.#db.updateTable('notifications').set({ due_at: until }).where('id', '=', id).execute()
  }

  async end(id: string, state: 'sent' | 'skipped' | 'undelivered', ref?: string): Promise<void> {
    await this.#db
      .updateTable('notifications')
      .set({ state, ...(ref === undefined ? {} : { ref }) })
      .where('id', '=', id)
      .execute()
  }

  async waiting(channel: string): Promise<number> {
    const { count } = await this.#db
      .selectFrom('notifications')
      .select(({ fn }) => fn.countAll().as('count'))
      .where('channel', '=', channel)
      .where('state', '=', 'waiting')
      .executeTakeFirstOrThrow()
    return Number(count)
  }

  async get(id: string): Promise<Notification | undefined> {
    const row = await this.#db.selectFrom('notifications').selectAll().where('id', '=', id).executeTakeFirst()
    return row && fromRow(row)
  }

  async claim(channel: string, messageId: string, until: number): Promise<boolean> {
    const result = await this.#db
      .insertInto('channel_messages')
      .values({ channel, message: messageId, until })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    return result.numInsertedOrUpdatedRows === 1n
  }

  async prune(before: number, now: number): Promise<void> {
    await this.#db.deleteFrom('notifications').where('at', '<', before).execute()
    await this.#db.deleteFrom('channel_messages').where('until', '<', now).execute()
  }
}

const STATES = ['waiting', 'sent', 'skipped', 'undelivered'] as const

function fromRow({ ticket, state, ref, due_at: _due, ...row }: NotificationRow): Notification {
  const known = STATES.find((each) => each === state)
  if (known === undefined) throw new Error(`a notification in the state ${state}`)
  return { ...row, ticket: brand<Ticket>(ticket), state: known, ...(ref === null ? {} : { ref }) }
}
