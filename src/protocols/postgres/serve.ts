import type { Command, Connection, GatewayError, Pipe, PreviewRun } from '../../core/index.ts'
import { asGatewayError, GatewayError as Failure, isGatewayError, LIMITS } from '../../core/index.ts'
import type { ProtocolContext, Session } from '../../session/index.ts'
import type { Beginning, SqlAnalyser } from '../../sql/index.ts'
import { changeOf } from '../../sql/index.ts'
import type { Startup } from '../../wire/postgres/index.ts'
import { encodeCancelRequest, encodeError, encodeServer } from '../../wire/postgres/index.ts'
import type { KeeperPorts } from './catalogue/catalogue-keeper.ts'
import { CodeLooks } from './catalogue/code-looks.ts'
import { Databases } from './catalogue/database.ts'
import { BEGINNING_QUERY, beginningOf, CatalogueKeeper } from './catalogue/catalogue-keeper.ts'
import type { Admitted } from './startup/client.ts'
import { admit } from './startup/client.ts'
import { Judge } from './requests/commands.ts'
import { Conversation } from './conversation.ts'
import { errorBytes } from './errors.ts'
import { Reminders } from './held/reminders.ts'
import { estimateRows } from './requests/estimate.ts'
import { Guesses } from './requests/planner.ts'
import { greet } from './startup/greeting.ts'
import type { CancelKey } from './startup/keys.ts'
import { CancelKeys } from './startup/keys.ts'
import { SessionKnowledge } from './requests/knowledge.ts'
import { LocalAnswers } from './local/local-answers.ts'
import { MaskedResults } from './results/masked-notice.ts'
import { previewCommand } from './preview/preview.ts'
import type { PostgresSettings } from './settings.ts'
import type { UpstreamOpen } from './startup/upstream.ts'
import {
  mayBeSaidInText,
  mayHoldValues,
  noticeWithoutValues,
  OwnSettings,
  withoutValues,
} from './replies/withheld.ts'
import { looksMasked, WriteBack } from './requests/write-back.ts'
import { ConversationState } from './state.ts'
import { cancelUpstream, openUpstream, UpstreamClient, UpstreamRefused } from './startup/upstream.ts'

/** A name longer than this is cut by the server (NAMEDATALEN less one). */
const APPLICATION_NAME_BYTES_MAX = 63

/** Serves clients of one listener: greeting, login, recording, upstream; then the conversation takes over. */
export class PostgresServer {
  readonly #context: ProtocolContext
  readonly #analyser: Promise<SqlAnalyser>
  readonly #keys: CancelKeys
  readonly #reminders: Reminders
  readonly #ports: KeeperPorts
  readonly #databases = new Databases()
  readonly #looks: CodeLooks
  readonly #guesses = new Guesses()
  readonly #keepers = new WeakMap<Connection<PostgresSettings>, Map<string, CatalogueKeeper>>()

  constructor(context: ProtocolContext, analyser: Promise<SqlAnalyser>) {
    this.#context = context
    this.#analyser = analyser
    this.#keys = new CancelKeys(context.random)
    this.#reminders = new Reminders(context.gateway.clock, LIMITS.heldToldMs, LIMITS.heldToldMsMax)
    this.#ports = {
      network: context.gateway.network,
      clock: context.gateway.clock,
      random: context.random,
      resolveSecret: (reference) => context.resolveSecret(reference),
      forgetSecret: (reference) => context.forgetSecret(reference),
      report: (error) => context.report(error),
      ...(context.snapshots === undefined ? {} : { snapshots: context.snapshots }),
    }
    this.#looks = new CodeLooks({ ...this.#ports, clock: context.gateway.clock })
  }

  accept(pipe: Pipe, admitted: () => void): void {
    this.#serve(pipe, admitted).catch((error: unknown) => this.#farewell(pipe, error))
  }

  async close(): Promise<void> {
    await (await this.#analyser).close()
  }

  async #serve(pipe: Pipe, admitted: () => void): Promise<void> {
    const greeting = await greet(pipe, {
      network: this.#context.gateway.network,
      tls: this.#context.tls,
      tlsRequired: this.#context.tlsRequired,
    })
    if (greeting.kind === 'cancel') {
      // Answered with nothing, whether it fits or not, as the protocol has it; but not before the server has acted on it, so
      // that a client which waits for the end can send its next command without that one being canceled.
      await this.#keys.cancel(greeting.processId, greeting.key)
      pipe.end()
      return
    }
    const client = await admit(pipe, greeting.startup, greeting.rest, {
      credentials: this.#context.credentials,
      random: this.#context.random,
      connection: (name) => this.#connection(name),
    })
    admitted()
    await this.#open(pipe, greeting.startup, client)
  }

  async #open(pipe: Pipe, startup: Startup, client: Admitted): Promise<void> {
    const { credential, connection, database } = client
    // Until the conversation has begun, a session that is ended does not begin.
    const opening: { ended?: GatewayError } = {}
    let end = (reason: GatewayError): void => {
      opening.ended ??= reason
    }
    let isIdle = (): boolean => false
    const session = this.#context.gateway.open({
      chain: credential.chain,
      connection,
      credential: credential.id,
      mintedBy: credential.mintedBy,
      clientAddress: `${pipe.remote.address}:${pipe.remote.port}`,
      program: startup.parameters.get('application_name') ?? '',
      database,
      isIdle: () => isIdle(),
      onTerminate: (reason) => end(reason),
    })
    try {
      const began = await this.#begin(pipe, startup, client, session, opening)
      end = (reason) => began.terminate(reason)
      isIdle = () => began.isIdle
    } catch (error) {
      const reason = error instanceof UpstreamRefused ? 'refused by upstream' : asGatewayError(error).code
      session.close(reason, farewellBytes(error))
      throw error
    }
  }

  async #begin(
    pipe: Pipe,
    startup: Startup,
    client: Admitted,
    session: Session,
    opening: { readonly ended?: GatewayError },
  ): Promise<Conversation> {
    const keeper = this.#keeper(client.connection, client.database)
    // Held until the session follows it itself: what is read for it now is watched from now on, and let go again when
    // nothing comes of the session.
    keeper.join()
    try {
      return await this.#beginWith(keeper, pipe, startup, client, session, opening)
    } finally {
      keeper.leave()
    }
  }

  async #beginWith(
    keeper: CatalogueKeeper,
    pipe: Pipe,
    startup: Startup,
    client: Admitted,
    session: Session,
    opening: { readonly ended?: GatewayError },
  ): Promise<Conversation> {
    const { connection, database, minor } = client
    const labelled = connection.labels.length > 0
    let gone = false
    pipe.onEnd = pipe.onClose = () => {
      gone = true
    }
    if (labelled) await keeper.ready()
    const name = startup.parameters.get('application_name') ?? ''
    const tagged = taggedName(name, session.id)
    const parameters = startupParameters(startup, connection, labelled, tagged)
    const upstream = await openUpstream(this.#ports, connection.settings, database, parameters, minor)
    const { beginning, rest } = labelled
      ? await readBeginning(upstream)
      : { beginning: undefined, rest: upstream.rest }
    const analyser = await this.#analyser
    if (gone || opening.ended !== undefined) {
      upstream.pipe.destroy()
      throw opening.ended ?? new Failure('canceled', 'The client went away.')
    }
    const state = new ConversationState()
    state.settings.begin(startup.parameters)
    const knowledge = new SessionKnowledge({
      connection: () => this.#connection(connection.name),
      keeper: (now) => this.#keeper(now, database),
      beginning,
      state,
      moved: !labelled && [...startup.parameters].some(([key, value]) => mayMove(key, value)),
      rests: (scope, basis) => session.rests(scope, basis),
    })
    const definitions = this.#databases.of(connection.settings, database)
    const judge = new Judge(
      session,
      analyser,
      knowledge,
      {
        statement: (name) => state.statements.get(name),
        cursor: (name) => state.portals.get(name),
      },
      {
        rows: (planned, path, withinMs) =>
          estimateRows(this.#ports, connection, database, path, planned, withinMs),
        guesses: this.#guesses,
      },
    )
    for (const [parameter, value] of upstream.parameters) {
      judge.parameter(parameter, value)
      state.settings.report(parameter, value)
    }
    try {
      knowledge.follow()
    } catch (error) {
      upstream.pipe.destroy()
      throw error
    }
    // The session keeps these two and not what else came with the login.
    const { processId, key: serverKey } = upstream
    const cancel = (): Promise<void> => this.#cancel(connection, processId, serverKey)
    const key = this.#keys.add(() => conversation.cancel())
    const looked = () => this.#looks.look(session, connection, database)
    const masked = new MaskedResults(connection.settings.maskedNotice)
    const conversation = new Conversation({
      session,
      client: pipe,
      upstream: upstream.pipe,
      state,
      judge,
      inReach: () => knowledge.inReach(),
      suspicion: (facts, statement) => knowledge.suspicion(facts, statement),
      typeOf: () => knowledge.typeOf(),
      withholds: (of) => (of === 'anything' || mayHoldValues(of, false)) && !judge.seesAll,
      shownText: (kind, fields, of) => {
        const named = knowledge.isInReach(fields.schema, fields.table)
        const may = of === 'anything' || state.ownTypes || mayHoldValues(of, named)
        if (!may || judge.seesAll) return fields
        const { catalogue } = knowledge
        const inText = state.ownTypes || mayBeSaidInText(of)
        return kind === 'errorResponse'
          ? withoutValues(fields, catalogue, inText)
          : noticeWithoutValues(fields, catalogue, inText)
      },
      settings: new OwnSettings(upstream.parameters),
      quiet: async () => (await looked())?.quiet,
      counted: async () => (await looked())?.counted,
      planned: async () => (await looked())?.planned,
      masked,
      writeBack: new WriteBack({
        parse: (text) => analyser.parse(text),
        recognises: (value, label) => looksMasked(value) || session.recognises(value, label),
      }),
      local: new LocalAnswers({
        schema: connection.settings.virtualSchema,
        parse: (text) => analyser.parse(text),
        source: {
          session,
          masked,
          catalogue: () => knowledge.catalogue,
          decide: (facts) => judge.suppose(facts),
        },
        now: () => this.#context.gateway.clock.now(),
      }),
      shownApplicationName: connection.settings.tagApplicationName
        ? (value) => (value === tagged ? name : value)
        : undefined,
      reminders: connection.settings.waitingNotice ? this.#reminders : undefined,
      cancelUpstream: cancel,
      onRedefine: (when) => definitions.redefine(knowledge, when),
      offerPreview: (ticket, { command }) => {
        const { enabled } = connection.settings.preview
        if (!enabled || bytesOf(command) > LIMITS.previewBytesMax) return
        this.#context.offerPreview?.(
          ticket,
          this.#preview(connection.name, database, parameters, command, knowledge, state),
        )
      },
      onClosed: () => {
        this.#keys.remove(key)
        definitions.redefine(knowledge, 'settled')
        knowledge.close()
      },
      report: (error) => this.#context.report(error),
    })
    pipe.write(client.final)
    pipe.write(
      greetingBytes(upstream, key, connection.settings.tagApplicationName ? { tagged, name } : undefined),
    )
    conversation.start(client.rest, rest)
    return conversation
  }

  /** How a command would be tried out that is held now: its session may be gone by then. */
  #preview(
    name: Connection['name'],
    database: string,
    parameters: ReadonlyMap<string, string>,
    command: Command,
    knowledge: SessionKnowledge,
    state: ConversationState,
  ): PreviewRun {
    const began = knowledge.names()
    const changed = state.settings.isAsBegun && began !== undefined ? undefined : SESSION_CHANGED
    const previewed = { command, database, parameters, searchPath: began?.searchPath, changed }
    return async (viewer) => {
      const connection = this.#connection(name)
      if (connection === undefined)
        throw new Failure('connection_unknown', 'This connection is configured no more.')
      const parts = {
        ...this.#ports,
        clock: this.#context.gateway.clock,
        analyser: await this.#analyser,
        known: async () => {
          if (connection.labels.length === 0) return undefined
          const keeper = this.#keeper(connection, database)
          keeper.join()
          try {
            const known = await keeper.checked()
            return {
              known,
              context: { catalogue: known.catalogue, ...(began?.beginning ?? known.beginning) },
            }
          } finally {
            keeper.leave()
          }
        },
      }
      return await previewCommand(parts, connection, previewed, viewer)
    }
  }

  #cancel(connection: Connection<PostgresSettings>, processId: number, key: string): Promise<void> {
    const request = encodeCancelRequest(processId, Buffer.from(key, 'hex'))
    return cancelUpstream(this.#ports, connection.settings, request).catch((error: unknown) =>
      this.#context.report(error),
    )
  }

  #connection(name: Connection['name']): Connection<PostgresSettings> | undefined {
    const connection = this.#context.connection(name)
    if (connection === undefined) return undefined
    return isOurs(connection) ? connection : undefined
  }

  #keeper(connection: Connection<PostgresSettings>, database: string): CatalogueKeeper {
    let keepers = this.#keepers.get(connection)
    if (keepers === undefined) {
      keepers = new Map()
      this.#keepers.set(connection, keepers)
    }
    let keeper = keepers.get(database)
    if (keeper === undefined) {
      keeper = new CatalogueKeeper(
        this.#ports,
        connection,
        database,
        this.#databases.of(connection.settings, database),
      )
      keepers.set(database, keeper)
    }
    return keeper
  }

  /** The client is told what went wrong before the conversation began. */
  #farewell(pipe: Pipe, error: unknown): void {
    if (!(error instanceof UpstreamRefused) && !isGatewayError(error)) this.#context.report(error)
    const bytes = farewellBytes(error)
    if (bytes === undefined) pipe.destroy()
    else pipe.end(bytes)
  }
}

const SESSION_CHANGED = 'its session has changed settings, its search path or its role, or may have'

function bytesOf({ text, parameters = [] }: Command): number {
  return text.length + parameters.reduce((sum, each) => sum + (each?.length ?? 0), 0)
}

/** What a client is told when nothing comes of its session; undefined: it has gone. */
function farewellBytes(error: unknown): Buffer | undefined {
  if (!(error instanceof UpstreamRefused)) {
    const known = asGatewayError(error)
    return known.code === 'canceled' ? undefined : errorBytes(known, 'FATAL')
  }
  // Its own words: what a client shows when it talks to the server itself.
  const { severity, code, message, ...fields } = error.fields
  return encodeError({
    ...fields,
    severity: severity === 'PANIC' ? 'PANIC' : 'FATAL',
    code: code ?? '08001',
    message: message ?? '',
  })
}

/** The configuration has read the settings of every connection of ours by our schema. */
function isOurs(connection: Connection): connection is Connection<PostgresSettings> {
  return connection.protocol === 'postgres'
}

/** What the server is started with: the client's settings where they are harmless, and our own pins. */
function startupParameters(
  startup: Startup,
  connection: Connection<PostgresSettings>,
  labelled: boolean,
  tagged: string,
): Map<string, string> {
  const parameters = new Map(startup.parameters)
  if (connection.settings.tagApplicationName) parameters.set('application_name', tagged)
  if (!labelled) return parameters
  for (const [name, value] of startup.parameters) {
    if (name === 'client_encoding') {
      if (/^utf-?8$/i.test(value.replace(/^'(.*)'$/, '$1'))) continue
      throw refusedSetting(name, 'Use UTF8: other encodings could hide what a statement says.')
    }
    // Where names are looked for is asked of the server once the session has begun.
    if (name !== 'search_path' && !changeOf(name, value).safe)
      throw refusedSetting(name, 'Leave it out on a connection with labels.')
  }
  parameters.set('client_encoding', 'UTF8')
  parameters.set('standard_conforming_strings', 'on')
  return parameters
}

/** Whether a setting may change what names mean; an encoding changes how text is read, which is watched elsewhere. */
function mayMove(name: string, value: string): boolean {
  return name !== 'client_encoding' && !changeOf(name, value).safe
}

function refusedSetting(name: string, remedy: string): Failure {
  const shown = /^[A-Za-z0-9_.]{1,63}$/.test(name) ? name : 'this setting'
  return new Failure('denied', `Connect without setting ${shown}.`, { remedy, retry: 'only-if-changed' })
}

function taggedName(name: string, session: string): string {
  const tag = `sluice:${session}`
  if (name === '') return tag
  let room = Buffer.from(name)
    .subarray(0, APPLICATION_NAME_BYTES_MAX - tag.length - 1)
    .toString('utf8')
  room = room.replaceAll('\ufffd', '')
  return `${room} ${tag}`
}

async function readBeginning(open: UpstreamOpen): Promise<{ beginning: Beginning; rest: Buffer }> {
  const client = new UpstreamClient(open)
  const rows = await client.query(BEGINNING_QUERY)
  return { beginning: beginningOf(rows), rest: client.release() }
}

function greetingBytes(
  upstream: UpstreamOpen,
  key: CancelKey,
  renamed: { readonly tagged: string; readonly name: string } | undefined,
): Buffer {
  const parameters = [...upstream.parameters].map(([name, value]) => ({
    kind: 'parameterStatus' as const,
    name,
    value: name === 'application_name' && value === renamed?.tagged ? renamed.name : value,
  }))
  return encodeServer(
    { kind: 'authenticationOk' },
    ...parameters,
    { kind: 'backendKeyData', processId: key.processId, key: Buffer.from(key.secret, 'hex') },
    { kind: 'readyForQuery', status: 'idle' },
  )
}
