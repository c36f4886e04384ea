/**
 * PostgreSQL, both halves: clients that cannot tell the gateway from a server, servers that take it for a client.
 * Leaves bytes to wire/postgres, statements to sql, decisions and evidence to the session.
 * Promise: no statement reaches a server but through the session; what cannot be read is refused.
 */
import type { Protocol } from '../../session/index.ts'
import { createSqlAnalyser } from '../../sql/index.ts'
import { PostgresServer } from './serve.ts'
import { postgresSettings } from './settings.ts'

export const postgres: Protocol = {
  name: 'postgres',
  settings: postgresSettings,
  attributes: { parsed: 'boolean?' },
  serve(context) {
    const server = new PostgresServer(context, createSqlAnalyser())
    return {
      takes: 'pipe',
      accept: (pipe, admitted) => server.accept(pipe, admitted),
      close: () => server.close(),
    }
  },
}
