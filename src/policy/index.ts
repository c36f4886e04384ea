/**
 * Facts and rules in, decision out. Rules compile to Cedar, five yes/no questions are asked of it, and the answers are
 * merged so that the stricter wins.
 *
 * Leaves to others what a command does (sql, the adapters), the configuration's form (config), caching of decisions
 * and making them happen (session). Promise: what no rule permits is refused, held, masked or cut; nothing that goes
 * wrong in here permits anything; and every decision names the rules that made it.
 */
export type { CompileOptions, CompileResult, Fault } from './compile.ts'
export { compilePolicy } from './compile.ts'
export type { LabelMask, Policy, Question } from './decide.ts'
