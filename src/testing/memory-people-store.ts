import type { EnrolledPerson, Invitation, PeopleStore } from '../identity/index.ts'

/** The in-memory twin of the repository of people. */
export class MemoryPeopleStore implements PeopleStore {
  readonly #people = new Map<string, EnrolledPerson>()
  readonly #invitations = new Map<string, Invitation>()

  async all(): Promise<readonly EnrolledPerson[]> {
    return [...this.#people.values()].sort((a, b) => (a.person < b.person ? -1 : 1))
  }

  async find(person: string): Promise<EnrolledPerson | undefined> {
    return this.#people.get(person)
  }

  async invite(invitation: Invitation): Promise<void> {
    this.#invitations.set(invitation.person, invitation)
  }

  async invitation(hash: string): Promise<Invitation | undefined> {
    return [...this.#invitations.values()].find((each) => each.hash === hash)
  }

  async redeem(hash: string, enrolled: EnrolledPerson): Promise<boolean> {
    if (this.#invitations.get(enrolled.person)?.hash !== hash) return false
    this.#invitations.delete(enrolled.person)
    this.#people.set(enrolled.person, enrolled)
    return true
  }

  async useStep(person: string, step: number): Promise<boolean> {
    const known = this.#people.get(person)
    if (known === undefined || known.lastStep >= step) return false
    this.#people.set(person, { ...known, lastStep: step, failures: 0, lockedUntil: 0 })
    return true
  }

  async fail(person: string, failures: number, lockedUntil: number): Promise<void> {
    const known = this.#people.get(person)
    if (known !== undefined) this.#people.set(person, { ...known, failures, lockedUntil })
  }

  async remove(person: string): Promise<void> {
    this.#people.delete(person)
    this.#invitations.delete(person)
  }
}
