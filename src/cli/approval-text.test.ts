import { describe as suite, expect, test } from 'vitest'
import { approvalShown } from './approval-schema.ts'
import { becameText, describe } from './approval-text.ts'

const now = Date.now()
const request = (more: object = {}) =>
  approvalShown.parse({
    ticket: 'T-7K2M9QXY',
    state: 'pending',
    connection: 'crm',
    chain: ['agent:support-agent', 'person:ada'],
    class: 'write',
    text: "UPDATE orders SET state = 'closed'\u202e",
    parameters: [null],
    reads: [],
    writes: ['public.orders'],
    rules: ['agents write reviewed (sluice.yaml:40)'],
    peopleNeeded: 1,
    steps: [{ groups: [], identities: [], anyone: true, people: 1, approved: 0 }],
    reasonNeeded: false,
    offer: {},
    uses: 0,
    warnings: [],
    countable: { can: true },
    effectRequired: false,
    createdAt: now - 7_200_000,
    expiresAt: now + 3_600_000,
    answers: [],
    ...more,
  })

suite('P-09 a request as who answers reads it', () => {
  test('no line of the statement looks like one of ours, and empty ones push nothing off the screen', () => {
    const text = describe(
      request({
        text: `DELETE FROM t /*\n\nclass     read\n${'\n'.repeat(40)}approve once  sluice approvals approve T-0\n*/ OR true`,
      }),
    )
    expect(text).toContain(
      '| DELETE FROM t /*\n| \n| class     read\n~ 40 lines with nothing but blanks\n| approve once  sluice approvals approve T-0\n| */ OR true\n$1',
    )
  })

  test('of an HTTP request the fields that a yes is bound to stand below it, and everything in them shows', () => {
    const fields = ['content-type: application/json', 'x-note: a\u202eb\u001b[2J']
    const text = describe(request({ under: { program: 'curl', changes: [], moved: false, fields } }))
    expect(text).toMatch(/^field +content-type: application\/json$/m)
    expect(text).toMatch(/^field +x-note: a\\u\{202e\}b\\u\{1b\}\[2J$/m)
    expect(text).not.toContain('has changed nothing')
  })

  test('what became of it is one line', () => {
    const by = { verdict: 'refuse', by: 'person:eve', at: now, reason: 'no' }
    expect(becameText(request({ state: 'refused', answers: [by] }))).toBe(
      'T-7K2M9QXY  refused (refuse by person:eve: no)',
    )
    expect(becameText(request({ state: 'used' }))).toBe('T-7K2M9QXY  used: it was let run')
  })

  test('begins with who wants what where and the command, and ends with what can be typed', () => {
    const text = describe(
      request({
        warnings: ['changes every row: it has no WHERE, or one that is always true'],
        under: { database: 'shop', program: 'psql', changes: [], moved: false },
        previewable: true,
        offer: { shapeMs: 3_600_000, session: true },
        earlier: [
          {
            ticket: 'T-00000001',
            at: now - 7_200_000,
            verdict: 'refuse',
            by: 'person:eve',
            reason: 'too many',
          },
        ],
      }),
    )
    expect(text.split('\n')).toEqual([
      'T-7K2M9QXY  waits for an answer (lapses in 60m)',
      'agent:support-agent for person:ada wants to change rows on crm, with the command below',
      '',
      '! changes every row: it has no WHERE, or one that is always true',
      '',
      'class     write',
      'writes    public.orders',
      'database  shop',
      'program   psql (as the client says)',
      'session   has changed nothing',
      'asked by  agents write reviewed (sluice.yaml:40)',
      'asked     2h ago',
      'step 1    0 of 1: anyone with the role approver',
      'may vary  nothing: for a shape or the session it is this very command',
      '',
      'Commands like it were answered before:',
      'WHEN    ANSWER                          TICKET',
      '2h ago  refuse by person:eve: too many  T-00000001',
      '',
      "| UPDATE orders SET state = 'closed'\\u{202e}",
      '$1 = NULL',
      '',
      'try it out first       sluice approvals preview T-7K2M9QXY',
      'approve once           sluice approvals approve T-7K2M9QXY',
      'only if N rows change  sluice approvals approve T-7K2M9QXY --rows N',
      'this shape for 1h      sluice approvals approve T-7K2M9QXY --for shape=1h',
      'this session           sluice approvals approve T-7K2M9QXY --for session',
      'refuse                 sluice approvals deny T-7K2M9QXY --reason "..."',
    ])
  })

  test('says what it would change, with the number to approve it for', () => {
    const preview = {
      ms: 12,
      rows: 42,
      tables: [
        { name: 'public.items', inserted: 0, updated: 0, deleted: 30 },
        { name: 'public.orders', inserted: 0, updated: 0, deleted: 12 },
      ],
      sample: {
        columns: ['id', 'email'],
        rows: [
          ['1', 'p***@example.com'],
          ['2', null],
        ],
        more: true,
        masked: ['pii.email'],
      },
      notes: ['It was rolled back.'],
    }
    const text = describe(request({ previewable: true, preview, effectRequired: true }))
    expect(text).toContain('Tried out and rolled back in 12 ms. It would change 42 rows in all.')
    expect(text).toContain('public.items          0        0       30')
    expect(text).toContain('Some of the rows (masked for you: pii.email):')
    expect(text).toMatch(/only if 42 rows change {2}sluice approvals approve T-7K2M9QXY --rows 42/)
    expect(text).not.toContain('approve once')
  })

  test('says why it cannot be approved for a number of rows', () => {
    const text = describe(
      request({ countable: { can: false, why: 'it is more than one statement: send each by itself' } }),
    )
    expect(text).toContain('Not for a number of rows: it is more than one statement: send each by itself.')
    expect(text).not.toContain('--rows')
  })

  test('what nobody waits for offers nothing to type', () => {
    const text = describe(request({ state: 'used', effect: { least: 10, most: 14 } }))
    expect(text).toMatch(/only if +it changes 10 to 14 rows$/m)
    expect(text).not.toContain('sluice approvals')
  })

  test('a command can forge none of the lines around it, in a terminal of whatever width', () => {
    const forged = [
      'class     read',
      'Tried out and rolled back in 12 ms. It would change 1 row in all.',
      '2m ago  approve by person:bob  T-9DFC2PQA',
      'approve once  sluice approvals approve T-9DFC2PQA',
    ]
    const wide = `${'x'.repeat(78)}class     read`
    const text = `DELETE FROM c /*\n${forged.join('\n')}\n${wide}\n${'\n'.repeat(40)}*/ WHERE true`
    const session = `role = ${'y'.repeat(200)}`
    const said = describe(
      request({ text, parameters: [wide], under: { program: wide, changes: [session], moved: true } }),
      80,
    )
    const lines = said.split('\n')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
    expect(lines.filter((line) => line.startsWith('class'))).toEqual(['class     write'])
    expect(lines.filter((line) => /^(?:Tried|2m ago)/.test(line))).toEqual([])
    expect(lines.filter((line) => line.startsWith('approve once'))).toEqual([
      expect.stringContaining('approve T-7K2M9QXY'),
    ])
    expect(lines).toContain('~ 40 lines with nothing but blanks')
    // What can be typed is the last, and all that is known stands above the command.
    expect(lines.findIndex((line) => line.startsWith('| '))).toBeGreaterThan(
      lines.findIndex((line) => line.startsWith('session')),
    )
  })

  test('rows of a preview do not go on where our lines begin', () => {
    const preview = {
      ms: 1,
      tables: [],
      sample: {
        columns: ['a', 'b', 'c'],
        rows: [['x'.repeat(40), 'y'.repeat(40), `${'z'.repeat(30)}class read`]],
        more: false,
        masked: [],
      },
      notes: [],
    }
    for (const line of describe(request({ preview }), 80).split('\n'))
      expect(line.length).toBeLessThanOrEqual(80)
  })
})
