/** What was asked, approved and run, by command: the account that the gateways are held against. */

export type Account = {
  /** Uses that people have approved: those of answers that came back, and of those that may have counted. */
  approved: number
  /** How often the server was asked to run it. */
  ran: number
  /** How often a client was told that it has run. */
  told: number
  /** Clients that wait for it now. */
  waiting: number
  /** Until when somebody may have been there for whom it ran, in milliseconds since 1970. */
  somebodyUntil: number
}

export class Ledger {
  readonly accounts = new Map<string, Account>()
  readonly wrong: string[] = []

  of(command: string): Account {
    let account = this.accounts.get(command)
    if (account === undefined) {
      account = { approved: 0, ran: 0, told: 0, waiting: 0, somebodyUntil: 0 }
      this.accounts.set(command, account)
    }
    return account
  }

  /** The server was asked to run it, and says so at once. */
  run(command: string): void {
    const account = this.of(command)
    account.ran++
    if (account.ran > account.approved) {
      this.wrong.push(`${command} ran ${account.ran} times, approved ${account.approved} times`)
    }
    if (account.waiting === 0 && Date.now() > account.somebodyUntil) {
      this.wrong.push(`${command} ran, and nobody was waiting for it`)
    }
  }

  get ran(): number {
    return [...this.accounts.values()].reduce((sum, { ran }) => sum + ran, 0)
  }

  /** What does not add up when everything has come to rest. */
  check(): readonly string[] {
    for (const [command, { ran, told }] of this.accounts) {
      if (told > ran)
        this.wrong.push(`${told} clients were told that ${command} has run, and it ran ${ran} times`)
    }
    return this.wrong
  }
}
