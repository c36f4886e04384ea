import { afterEach, expect, it } from 'vitest'
import { done, rows } from '../../../testing/fake-postgres-answers.ts'
import {
  answerUsual,
  bind,
  execute,
  FIELDS,
  parse,
  PostgresStage,
  script,
  sync,
} from '../../../testing/postgres-stage.ts'

const stages: PostgresStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

it('a portal that sets a search path is executed once: going on with it sets nothing at the server', async () => {
  const stage = await PostgresStage.open()
  stages.push(stage)
  answerUsual(stage.server)
  const setting = "SELECT set_config('search_path', 'pg_catalog', false)"
  stage.server.answer(setting, rows([FIELDS.n], [['pg_catalog']]))
  stage.server.answer(/^SET/, done('SET'))
  stage.server.answer('SELECT n FROM numbers', rows([FIELDS.n], [['1'], ['2']]))
  const client = await stage.client()
  const heard = script(
    await client.say([
      parse(setting),
      bind({ portal: 'p' }),
      execute('p', 1),
      parse('SET search_path = public'),
      bind(),
      execute(),
      execute('p'),
      sync,
    ]),
  )
  expect(heard.find((line) => line.startsWith('error'))).toMatch(/Bind it anew/)
  expect(stage.ran().filter((text) => text === setting)).toHaveLength(1)
  // What sets nothing is fetched in as many parts as anybody likes.
  const parts = script(
    await client.say([
      parse('SELECT n FROM numbers'),
      bind(),
      execute('', 1),
      execute('', 1),
      execute(),
      sync,
    ]),
  )
  expect(parts.filter((line) => line.startsWith('row'))).toEqual(['row 1', 'row 2'])
})
