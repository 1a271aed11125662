import { simulate, type Result } from './simulation.js'

const MOST_LINES = 150

/** What led to a run's first violation: the run is made again, and of all that happens those lines are kept that
 * name its comment, its viewer, or a fault. */
export async function storyOf({ seed, mix, violations }: Result): Promise<string> {
  const [violation] = violations
  if (!violation) return ''
  const { id, viewer, invariant, text } = violation
  const lines: string[] = []
  const names = [...(id === undefined ? [] : [String(id)]), ...(viewer === undefined ? [] : [`${viewer} `])]
  await simulate(seed, mix, {
    tell(line) {
      if (line.includes(' ! ') || line.includes(' !! ') || names.some(name => line.includes(name))) lines.push(line.length > 300 ? `${shortened(line, names[0])}` : line)
    },
  })
  const story = lines.length > MOST_LINES ? [...lines.slice(0, 10), `… ${lines.length - MOST_LINES} lines …`, ...lines.slice(10 - MOST_LINES)] : lines
  return [`VIOLATION of "${invariant}" in mix ${mix}: ${text}`, ...story.map(line => `  ${line}`), `Again: npm run simulate -- --mix ${mix} --seed ${seed} --trace`, ''].join('\n')
}

/** The line's beginning, and what surrounds the name. */
function shortened(line: string, name: string | undefined): string {
  const at = name === undefined ? -1 : line.indexOf(name, 140)
  return at < 0 ? `${line.slice(0, 300)}…` : `${line.slice(0, 140)} … ${line.slice(Math.max(140, at - 60), at + 100)}`
}
