import type { Connection, Facts } from '../../core/index.ts'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { ExplainedOutput, Explanation, ExplainQuestion, ProbePorts } from '../../session/index.ts'
import { createSqlAnalyser } from '../../sql/index.ts'
import { CatalogueKeeper } from './catalogue/catalogue-keeper.ts'
import type { Knowledge } from './requests/commands.ts'
import { maskOf, planResults } from './results/results.ts'
import type { PostgresSettings } from './settings.ts'

/**
 * What a statement would come to for somebody, without running it: read by the analyser that reads those of clients,
 * over the catalogue as it is now, in a session that has changed nothing yet.
 */
export async function explainPostgres(
  ports: ProbePorts,
  connection: Connection<PostgresSettings>,
  question: ExplainQuestion,
): Promise<Explanation> {
  if (Buffer.byteLength(question.text) > LIMITS.statementBytesMax) {
    throw new GatewayError('limit_exceeded', `Send a statement of at most ${LIMITS.statementBytesMax} bytes.`)
  }
  const context = await contextOf(ports, connection, question.database)
  const analyser = await createSqlAnalyser()
  try {
    const parsed = await analyser.parse(question.text)
    if (parsed.kind === 'unparsed') {
      throw new GatewayError('invalid', 'This statement cannot be parsed, so it would not be run.', {
        retry: 'only-if-changed',
        ...(parsed.position === undefined
          ? {}
          : { remedy: `The first thing not understood is at character ${parsed.position}.` }),
      })
    }
    const facts = analyser.analyse(parsed, context)
    const decision = question.decide(facts)
    return { facts, decision, outputs: outputsOf(facts, decision) }
  } finally {
    await analyser.close()
  }
}

async function contextOf(
  ports: ProbePorts,
  connection: Connection<PostgresSettings>,
  database: string,
): Promise<Knowledge['context']> {
  if (connection.labels.length === 0) return { searchPath: [] }
  const keeper = new CatalogueKeeper(
    {
      ...ports,
      forgetSecret: () => undefined,
      // Nobody joins it, so it reads once and polls nothing.
      clock: { after: () => ({ cancel: () => undefined }) },
      report: () => undefined,
    },
    connection,
    database,
  )
  const { catalogue, beginning } = await keeper.ready()
  return { catalogue, ...beginning }
}

function outputsOf(facts: Facts, decision: Explanation['decision']): ExplainedOutput[] {
  const masks = decision.kind === 'deny' ? new Map() : decision.masks
  const plans = planResults(facts, masks)
  return facts.statements.flatMap(({ outputs }, statement) =>
    (outputs ?? []).map((output, at) => {
      const masked = decision.kind !== 'deny' && plans[statement]?.columns[at] !== undefined
      return {
        statement: statement + 1,
        name: output.name,
        labels: output.labels ?? [],
        computed: output.computed === true,
        ...(masked ? { mask: maskOf(output, masks) } : {}),
      }
    }),
  )
}
