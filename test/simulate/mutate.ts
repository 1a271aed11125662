import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Table from 'cli-table3'
import ts from 'typescript'
import { projectRoot } from '../../runtime/root.js'
import { MUTANTS, type Mutant } from './mutants.js'
import type { Result } from './simulation.js'

/** The compiled project that this file belongs to. */
const built = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const NEEDED = ['dispatcher', 'edge', 'gateway', 'protocol', 'registry', 'runtime', 'test/dispatcher', 'test/simulate', 'test/support']
const MOST_OUTPUT_BYTES = 256 << 20

/** Takes every rule, or the one named, out by itself and looks who notices: a table of what went red, in how many of so many seeds.
 * @returns whether each removal was noticed. @throws Error when a mutant's text is not in its source */
export async function mutate(seeds: number, rule: string | undefined, say: (line: string) => void): Promise<boolean> {
  const patched = await Promise.all(MUTANTS.map(compiled))
  const table = new Table({ head: ['rule', 'without', 'red', 'of', 'what went red, in which mixes'], style: { head: [], border: [] }, wordWrap: true, colWidths: [6, 50, 5, 5, 60] })
  let all = true
  for (const [i, mutant] of MUTANTS.entries()) {
    if (rule !== undefined && mutant.rule !== rule) continue
    const results = await run(mutant, patched[i]!, i, seeds)
    const red = results.filter(({ violations }) => violations.length > 0)
    all &&= red.length > 0
    const counts = new Map<string, number>()
    for (const { mix, violations } of red) {
      const what = `${violations[0]!.invariant} (${mix})`
      counts.set(what, (counts.get(what) ?? 0) + 1)
    }
    const row = [mutant.rule, mutant.without, red.length, results.length, [...counts].sort((a, b) => b[1] - a[1]).map(([what, count]) => `${what} ${count}`).join(', ')]
    table.push(row)
    say(row.join(' | '))
  }
  say(table.toString())
  return all
}

/** The source with the rule taken out. @throws Error when the mutant's text is not in its source, exactly once */
export async function mutated({ file, find, replace, without }: Mutant): Promise<string> {
  const source = await readFile(join(projectRoot, file), 'utf8')
  if (source.split(find).length !== 2) throw new Error(`${file} does not hold, exactly once, what is to be taken out for "${without}"`)
  return source.replace(find, () => replace)
}

async function compiled(mutant: Mutant): Promise<string> {
  const { outputText } = ts.transpileModule(await mutated(mutant), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } })
  return outputText
}

async function run({ file, mixes }: Mutant, code: string, index: number, seeds: number): Promise<Result[]> {
  const folder = join(projectRoot, '.build', `mutant-${process.pid}-${index}`)
  try {
    for (const part of NEEDED) {
      await mkdir(dirname(join(folder, part)), { recursive: true })
      await cp(join(built, part), join(folder, part), { recursive: true })
    }
    await writeFile(join(folder, file.replace(/\.ts$/, '.js')), code)
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'test/simulate/main.js'), '--json', '--seeds', String(seeds), '--mix', mixes.join(',')], { maxBuffer: MOST_OUTPUT_BYTES }).catch(
      (error: unknown) => {
        // Status 1 says that something went red; so does Node of a program that does not even start.
        const { code, stdout, stderr } = error as { code?: unknown; stdout: string; stderr: string }
        if (code === 1 && stderr === '') return { stdout }
        throw error
      },
    )
    return stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Result)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
