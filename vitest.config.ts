import { defineConfig } from 'vitest/config'

// Five projects, by what a test needs. `npm run check` runs the first two; `npm test` runs all of them.
// test/architecture.test.ts holds every test file of the repository against these patterns: none is in no project.
const live = ['src/**/*.live.test.ts', 'test/**/*.live.test.ts']
const integration = ['src/**/*.integration.test.ts', 'test/**/*.integration.test.ts']
const journeys = ['test/journeys/**/*.test.ts']
const conformance = ['src/protocols/*/conformance.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    // What has been stripped of its types once is kept, in node_modules/.cache.
    fsModuleCache: true,
    // Tests make much that is soon gone: with more room for the young it is not copied about.
    execArgv: ['--max-semi-space-size=64'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Modules are loaded once per worker, not once per file: no test leaves anything behind in them.
          isolate: false,
          include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: [...live, ...integration, ...journeys, ...conformance],
        },
      },
      { extends: true, test: { name: 'conformance', isolate: false, include: conformance } },
      // Several parts at once, on real disks, sockets and threads.
      {
        extends: true,
        test: { name: 'integration', isolate: false, include: integration, exclude: journeys },
      },
      // Real servers, kills, long fuzzing: a file of its own beside what it tests.
      { extends: true, test: { name: 'live', include: live, exclude: journeys, testTimeout: 120_000 } },
      // Real clients against the real gateway.
      { extends: true, test: { name: 'journeys', include: journeys, testTimeout: 120_000 } },
    ],
  },
})
