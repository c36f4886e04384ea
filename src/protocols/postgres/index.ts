/**
 * PostgreSQL, both halves: clients that cannot tell the gateway from a server, servers that take it for a client.
 * Leaves bytes to wire/postgres, statements to sql, decisions and evidence to the session.
 * Promise: no statement reaches a server but through the session; what cannot be read is refused.
 */
import { brand, isGatewayError } from '../../core/index.ts'
import type { Connection, LabelName } from '../../core/index.ts'
import type { Protocol, ProtocolContext, ProtocolServer } from '../../session/index.ts'
import { parseJsonPath } from '../../session/index.ts'
import type { SqlAnalyser } from '../../sql/index.ts'
import { createSqlAnalyser, readPattern } from '../../sql/index.ts'
import { explainPostgres } from './explain.ts'
import { probePostgres } from './probe.ts'
import { postgresRotation } from './rotate.ts'
import { openRejudge } from './rejudge/rejudge.ts'
import { PostgresServer } from './serve.ts'
import type { PostgresSettings } from './settings.ts'
import { postgresSettings } from './settings.ts'

export const postgres: Protocol = {
  name: 'postgres',
  settings: postgresSettings,
  attributes: { parsed: 'boolean?' },
  labelFault,
  async probe(ports, connection) {
    return isOurs(connection) ? await probePostgres(ports, connection) : []
  },
  secretsOf(connection) {
    if (!isOurs(connection)) return []
    const { password, sslkey } = connection.settings.upstream
    return [password, sslkey].filter((each) => each !== undefined)
  },
  rotation: postgresRotation,
  async explain(ports, connection, question) {
    if (!isOurs(connection)) throw new TypeError('a connection of another protocol')
    return await explainPostgres(ports, connection, question)
  },
  rejudge: (snapshot) => openRejudge(snapshot),
  serve: (context) => serveWith(context, createSqlAnalyser()),
}

/** What `serve` does, with an analyser that is at hand. */
export function serveWith(context: ProtocolContext, analyser: Promise<SqlAnalyser>): ProtocolServer {
  const server = new PostgresServer(context, analyser)
  return {
    takes: 'pipe',
    accept: (pipe, admitted) => server.accept(pipe, admitted),
    close: () => server.close(),
  }
}

function labelFault(pattern: string): { expected: string; fix: string } | undefined {
  try {
    const { path } = readPattern({ pattern, label: brand<LabelName>('checked') })
    return path === undefined ? undefined : pathFault(path)
  } catch (error) {
    if (!isGatewayError(error)) throw error
    const expected = 'expected schema.table.column, each part a name or *, perhaps with ": " and a JSON path'
    return { expected, fix: 'write it like public.customers.email or "*.*.email"' }
  }
}

function pathFault(path: string): { expected: string; fix: string } | undefined {
  try {
    parseJsonPath(path)
    return undefined
  } catch (error) {
    if (!isGatewayError(error)) throw error
    return { expected: error.message, fix: 'write it like "public.customers.profile: contact.email"' }
  }
}

/** The configuration has read the settings of every connection of ours by our schema. */
function isOurs(connection: Connection): connection is Connection<PostgresSettings> {
  return connection.protocol === 'postgres'
}
