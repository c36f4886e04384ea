/** One customer as an internal API would give it: 1.5 KB of JSON, four places of which are labelled. */
export function customer(): string {
  const contacts = Array.from({ length: 4 }, (_, i) => ({
    name: `Contact ${i} of Northwind`,
    email: `contact${i}@northwind.example`,
    phone: `+1 555 010${i}`,
    role: ['billing', 'technical', 'legal', 'executive'][i],
    since: `2024-0${i + 1}-15T08:30:00Z`,
  }))
  const whole = {
    id: 1,
    name: 'Northwind Traders',
    email: 'office@northwind.example',
    phone: '+1 555 0199',
    city: 'Lisbon',
    plan: 'business',
    balance: 1250.75,
    payment: { card: '4111111111111111', expires: '2029-04' },
    contacts,
    tags: ['renewal', 'priority', 'eu-west', 'invoice-by-mail'],
    notes: '',
  }
  const rest = 1536 - JSON.stringify(whole).length
  return JSON.stringify({ ...whole, notes: 'Asked about the renewal in May. '.repeat(20).slice(0, rest) })
}

/** In clear; no client of Sluice may see it. */
export const PROTECTED = 'office@northwind.example'
