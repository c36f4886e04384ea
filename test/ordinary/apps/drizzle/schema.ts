/** What a project on Drizzle declares: made by `push`, and once more by the migrations that `generate` writes. */
import {
  integer,
  jsonb,
  numeric,
  pgEnum,
  pgTable,
  serial,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

export const state = pgEnum('kit_state', ['new', 'done'])

export const projects = pgTable(
  'kit_projects',
  {
    id: serial().primaryKey(),
    name: text().notNull(),
    state: state().default('new'),
    budget: numeric({ precision: 10, scale: 2 }).default('0').notNull(),
    data: jsonb(),
    made: timestamp({ withTimezone: true }).defaultNow(),
  },
  (table) => [uniqueIndex('kit_projects_name').on(table.name)],
)

export const tasks = pgTable('kit_tasks', {
  id: serial().primaryKey(),
  projectId: integer('project_id')
    .notNull()
    .references(() => projects.id, { onDelete: 'cascade' }),
  title: text().notNull(),
})
