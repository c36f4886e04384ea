import type { Kysely } from 'kysely'
import type { EnrolledPerson, Invitation, PeopleStore } from '../identity/index.ts'
import type { PersonRow, Tables } from './schema.ts'

export class PeopleRepository implements PeopleStore {
  readonly #db: Kysely<Tables>

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  async all(): Promise<readonly EnrolledPerson[]> {
    const rows = await this.#db.selectFrom('people').selectAll().orderBy('person').execute()
    return rows.map(fromRow)
  }

  async find(person: string): Promise<EnrolledPerson | undefined> {
    const row = await this.#db
      .selectFrom('people')
      .selectAll()
      .where('person', '=', person)
      .executeTakeFirst()
    return row === undefined ? undefined : fromRow(row)
  }

  async invite(invitation: Invitation): Promise<void> {
    const values = {
      hash: invitation.hash,
      expires_at: invitation.expiresAt,
      invited_by: invitation.invitedBy,
    }
    await this.#db
      .insertInto('invitations')
      .values({ person: invitation.person, ...values })
      .onConflict((conflict) => conflict.column('person').doUpdateSet(values))
      .execute()
  }

  async invitation(hash: string): Promise<Invitation | undefined> {
    const row = await this.#db
      .selectFrom('invitations')
      .selectAll()
      .where('hash', '=', hash)
      .executeTakeFirst()
    if (row === undefined) return undefined
    return {
      hash: row.hash,
      person: row.person,
      expiresAt: row.expires_at,
      invitedBy: row.invited_by,
    }
  }

  async redeem(hash: string, enrolled: EnrolledPerson): Promise<boolean> {
    return await this.#db.transaction().execute(async (transaction) => {
      const { numDeletedRows } = await transaction
        .deleteFrom('invitations')
        .where('hash', '=', hash)
        .where('person', '=', enrolled.person)
        .executeTakeFirst()
      if (numDeletedRows !== 1n) return false
      const { person, ...values } = toRow(enrolled)
      await transaction
        .insertInto('people')
        .values({ person, ...values })
        .onConflict((conflict) => conflict.column('person').doUpdateSet(values))
        .execute()
      return true
    })
  }

  async useStep(person: string, step: number): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('people')
      .set({ last_step: step, failures: 0, locked_until: 0 })
      .where('person', '=', person)
      .where('last_step', '<', step)
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  async fail(person: string, failures: number, lockedUntil: number): Promise<void> {
    await this.#db
      .updateTable('people')
      .set({ failures, locked_until: lockedUntil })
      .where('person', '=', person)
      .execute()
  }

  async remove(person: string): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom('people').where('person', '=', person).execute()
      await transaction.deleteFrom('invitations').where('person', '=', person).execute()
    })
  }
}

function toRow(person: EnrolledPerson): PersonRow {
  return {
    person: person.person,
    enrolled_at: person.enrolledAt,
    device: person.device,
    last_step: person.lastStep,
    failures: person.failures,
    locked_until: person.lockedUntil,
  }
}

function fromRow(row: PersonRow): EnrolledPerson {
  return {
    person: row.person,
    enrolledAt: row.enrolled_at,
    device: row.device,
    lastStep: row.last_step,
    failures: row.failures,
    lockedUntil: row.locked_until,
  }
}
