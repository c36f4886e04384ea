/** The same project a week later. */
import { index, integer, pgTable, serial, text } from 'drizzle-orm/pg-core'
import { projects } from './schema.ts'

export { projects, state } from './schema.ts'

export const tasks = pgTable(
  'kit_tasks',
  {
    id: serial().primaryKey(),
    projectId: integer('project_id')
      .notNull()
      .references(() => projects.id, { onDelete: 'cascade' }),
    title: text().notNull(),
    minutes: integer().default(0),
  },
  (table) => [index('kit_tasks_title').on(table.title)],
)
