/**
 * The people and papers of a small company that sells software to other companies: made from a seed, so that the
 * database and the internal API tell of the same ones, on every machine and in every run. All of it is invented:
 * addresses under `.example` (RFC 2606), phone numbers from ranges kept for fiction, IBANs of no bank.
 */
export type Employee = {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly title: string
  readonly manager_id: number | null
  readonly salary: string
  readonly started_on: string
}

export type Customer = {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly phone: string | null
  readonly company: string
  readonly plan: 'free' | 'team' | 'business'
  readonly country: string
  readonly tags: readonly string[]
  readonly owner_id: number
  readonly created_at: string
}

export type PaymentMethod = {
  readonly id: number
  readonly customer_id: number
  readonly kind: 'card' | 'sepa'
  readonly brand: string | null
  readonly card_last4: string | null
  readonly iban: string | null
  readonly expires_on: string | null
}

export type Invoice = {
  readonly id: number
  readonly customer_id: number
  readonly number: string
  readonly amount: string
  readonly currency: string
  readonly status: 'open' | 'paid' | 'overdue' | 'refunded'
  readonly issued_on: string
  readonly paid_at: string | null
}

export type ApiKey = {
  readonly id: number
  readonly customer_id: number
  readonly name: string
  readonly key: string
  readonly revoked: boolean
  readonly last_used_at: string | null
  readonly created_at: string
}

export type SupportTicket = {
  readonly id: number
  readonly customer_id: number
  readonly assignee_id: number
  readonly subject: string
  readonly body: string
  readonly status: 'new' | 'open' | 'waiting' | 'solved'
  readonly priority: number
  readonly context: Readonly<Record<string, string | number>>
  readonly created_at: string
}

export type Company = {
  readonly employees: readonly Employee[]
  readonly customers: readonly Customer[]
  readonly payment_methods: readonly PaymentMethod[]
  readonly invoices: readonly Invoice[]
  readonly api_keys: readonly ApiKey[]
  readonly support_tickets: readonly SupportTicket[]
}

const CUSTOMERS = 320

const GIVEN =
  'Amara Anika Arjun Astrid Beatriz Bo Camille Chidi Daniela David Elena Emeka Farah Fatima Felix Freya Gabriel Grace Hana Hugo Ines Ingrid Isaac Ivan Jana Joao Jonas Julia Kaito Karim Katya Kenji Lars Layla Leila Lena Liam Lucia Maeve Magnus Mai Marco Maria Mateo Maya Mei Mikael Mina Nadia Nia Noah Noor Olga Omar Oscar Paula Pedro Petra Priya Rafael Ravi Rosa Ruth Samir Sana Sara Sergei Sofia Tariq Tomas Uma Valentina Viktor Wei Yara Yuki Zainab Zoe'.split(
    ' ',
  )
const FAMILY =
  'Abbott Adeyemi Aguilar Ahmed Andersen Bakker Banerjee Barbosa Becker Bianchi Brennan Castro Chen Cohen Costa Dahl Das Delgado Diaz Dubois Eriksen Fernandez Fischer Fontaine Garcia Gomez Gupta Haddad Hansen Hashimoto Hoffmann Horvath Hughes Ibrahim Ivanova Jansen Johnson Kaplan Keller Khan Kim Kowalski Kruger Larsen Lee Lindqvist Lopez Mbeki Meyer Mitchell Moreau Mori Murphy Nakamura Nguyen Novak Okafor Okoye Olsen Park Patel Pereira Petrov Quinn Rahman Reyes Ricci Romero Rossi Santos Sato Schmidt Silva Singh Sorensen Suzuki Tanaka Torres Vargas Virtanen Walsh Weber Wong Yamamoto Yilmaz Zhang'.split(
    ' ',
  )
const COMPANY_FIRST =
  'Alder Amber Bright Cedar Cinder Cobalt Copper Crane Drift Ember Fern Flint Granite Harbor Hazel Indigo Iron Juniper Kestrel Lantern Maple Meridian North Opal Orchard Pine Quartz River Saffron Slate Sparrow Summit Tide Umber Vale Willow'.split(
    ' ',
  )
const COMPANY_SECOND =
  'Analytics Books Foods Health Labs Logistics Media Motors Robotics Studios Systems Travel Works'.split(' ')
const COUNTRIES = ['DE', 'FR', 'GB', 'NL', 'US', 'US'] as const
const SUBJECTS = [
  'Cannot export contacts',
  'Invoice shows the wrong company',
  'Please change the address of my account',
  'Import stops at row 1,000',
  'How do I invite a colleague?',
  'Two charges for one month',
  'API answers 429 since yesterday',
  'Feature request: dark mode',
] as const

/** Everything in one go; a few milliseconds. The same for the same seed. */
export function makeCompany(seed = 2026): Company {
  const random = mulberry32(seed)
  const below = (n: number) => Math.floor(random() * n)
  const pick = <const T>(list: readonly [T, ...T[]]): T => list[below(list.length)] ?? list[0]
  const word = (list: readonly string[]): string => list[below(list.length)] ?? ''
  const chance = (p: number) => random() < p
  const digits = (n: number) => Array.from({ length: n }, () => below(10)).join('')
  /** A moment in the two years before 2026-07-01. */
  const moment = () => new Date(Date.UTC(2026, 6, 1) - below(730 * 86_400) * 1000).toISOString()

  const used = new Set<string>()
  const address = (name: string, domain: string): string => {
    const local = name.toLowerCase().replaceAll(' ', '.')
    let email = `${local}@${domain}`
    for (let n = 2; used.has(email); n++) email = `${local}${n}@${domain}`
    used.add(email)
    return email
  }

  const titles = [
    'Chief executive',
    'Head of support',
    'Head of engineering',
    'Support engineer',
    'Support engineer',
    'Support engineer',
    'Account manager',
    'Account manager',
    'Software engineer',
    'Software engineer',
    'Accountant',
    'Designer',
  ]
  const employees = titles.map((title, index): Employee => {
    const name = `${word(GIVEN)} ${word(FAMILY)}`
    return {
      id: index + 1,
      name,
      email: address(name, 'tidewater.example'),
      title,
      manager_id: index === 0 ? null : index < 3 ? 1 : 2 + (index % 2),
      salary: `${52_000 + below(80) * 1000}.00`,
      started_on: `${2018 + below(8)}-0${1 + below(9)}-01`,
    }
  })

  const customers: Customer[] = []
  const payment_methods: PaymentMethod[] = []
  const invoices: Invoice[] = []
  const api_keys: ApiKey[] = []
  const support_tickets: SupportTicket[] = []
  for (let id = 1; id <= CUSTOMERS; id++) {
    const name = `${word(GIVEN)} ${word(FAMILY)}`
    const company = `${word(COMPANY_FIRST)} ${word(COMPANY_SECOND)}`
    const email = address(name, `${company.toLowerCase().replaceAll(' ', '')}.example`)
    const country = pick(COUNTRIES)
    const plan = pick(['free', 'team', 'team', 'business'])
    const created_at = moment()
    const phone = chance(0.9) ? phoneOf(country, digits) : null
    const tags = ['beta', 'newsletter', 'reference', 'vip'].filter(() => chance(0.2))
    customers.push({
      id,
      name,
      email,
      phone,
      company,
      plan,
      country,
      tags,
      owner_id: 7 + below(2),
      created_at,
    })

    if (plan !== 'free') {
      const card = country === 'US' || country === 'GB' || chance(0.4)
      payment_methods.push({
        id: payment_methods.length + 1,
        customer_id: id,
        kind: card ? 'card' : 'sepa',
        brand: card ? pick(['visa', 'mastercard', 'amex']) : null,
        card_last4: card ? digits(4) : null,
        iban: card ? null : ibanOf(country, digits),
        expires_on: card ? `${2026 + below(4)}-${String(1 + below(12)).padStart(2, '0')}-01` : null,
      })
      const monthly = plan === 'team' ? 49 : 249
      const months = 1 + below(6)
      for (let month = 0; month < months; month++) {
        const issued = new Date(Date.UTC(2026, 6 - months + month, 1))
        const last = month === months - 1
        const status = last && chance(0.4) ? pick(['open', 'overdue']) : chance(0.03) ? 'refunded' : 'paid'
        const paid = status === 'paid' || status === 'refunded'
        const n = invoices.length + 1
        invoices.push({
          id: n,
          customer_id: id,
          number: `INV-2026-${String(n).padStart(5, '0')}`,
          amount: `${monthly * (1 + below(5))}.00`,
          currency: country === 'US' ? 'USD' : country === 'GB' ? 'GBP' : 'EUR',
          status,
          issued_on: issued.toISOString().slice(0, 10),
          paid_at: paid ? new Date(issued.getTime() + (1 + below(20)) * 86_400_000).toISOString() : null,
        })
      }
      if (chance(0.6)) {
        api_keys.push({
          id: api_keys.length + 1,
          customer_id: id,
          name: pick(['production', 'staging', 'warehouse sync']),
          key: `crm_live_${Array.from({ length: 32 }, () => below(16).toString(16)).join('')}`,
          revoked: chance(0.1),
          last_used_at: chance(0.8) ? moment() : null,
          created_at,
        })
      }
    }
    if (chance(0.35)) {
      const subject = pick(SUBJECTS)
      support_tickets.push({
        id: support_tickets.length + 1,
        customer_id: id,
        assignee_id: 4 + below(3),
        subject,
        // People write their own address into free text; no column name tells of it.
        body: `Hello, this is ${name} from ${company}. ${subject}. Please answer to ${email}${phone === null ? '' : ` or call ${phone}`}. Thank you!`,
        status: pick(['new', 'open', 'waiting', 'solved', 'solved']),
        priority: 1 + below(4),
        context: { browser: pick(['Firefox', 'Chrome', 'Safari']), seats: 1 + below(40) },
        created_at: moment(),
      })
    }
  }
  return { employees, customers, payment_methods, invoices, api_keys, support_tickets }
}

/** Numbers that ring nowhere: 555-01xx, and the ranges that European regulators keep for film and television. */
function phoneOf(country: string, digits: (n: number) => string): string {
  switch (country) {
    case 'DE':
      return `+49 30 23125 ${digits(3)}`
    case 'FR':
      return `+33 1 99 00 ${digits(2)} ${digits(2)}`
    case 'GB':
      return `+44 20 7946 0${digits(3)}`
    case 'NL':
      return `+31 85 012 ${digits(2)} ${digits(2)}`
    default:
      return `+1 ${'2345678'.charAt(Number(digits(1)) % 7)}${digits(2)} 555 01${digits(2)}`
  }
}

/** Right length and right check digits (ISO 13616), bank code of no bank. */
function ibanOf(country: string, digits: (n: number) => string): string {
  const account =
    country === 'FR' ? `00000${digits(18)}` : country === 'NL' ? `ZZZZ${digits(10)}` : `00000000${digits(10)}`
  const place = country === 'FR' || country === 'NL' ? country : 'DE'
  const numeric = [...`${account}${place}00`].map((each) => Number.parseInt(each, 36)).join('')
  return `${place}${String(98n - (BigInt(numeric) % 97n)).padStart(2, '0')}${account}`
}

/** A small, well-known generator: 32 bits of state are plenty for a few thousand invented rows. Not for secrets. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
