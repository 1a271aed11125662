import type { StreamClient } from './list.js'

/** What one client made of one way and one encoding. */
export interface Trial {
  readonly client: StreamClient
  readonly route: string
  readonly encoding: 'gzip' | 'identity'
  /** It saw `ready`. */
  readonly ready: boolean
  /** From the post to the client, ms; undefined: it had not come when nothing followed it. */
  readonly firstMs: number | undefined
  /** The comments that it had when it was back from a kill. */
  readonly resumed: string
  /** What it said when its stream was ended in order: `end`, `nothing`, or its error. */
  readonly ended: string
  /** It came back after that. */
  readonly back: boolean
  readonly complete: string
  /** It made an event without data. */
  readonly empty: boolean
  /** What it said of a 400, and how often within some seconds. */
  refused: { readonly said: string; readonly times: number } | undefined
}

export interface Row {
  readonly client: string
  readonly first: string
  readonly resume: string
  readonly end: string
  readonly error: string
}

export function rowsOf(trials: readonly Trial[]): Row[] {
  const clients = [...new Set(trials.map(({ client }) => client))]
  return clients.map(client => {
    const own = trials.filter(each => each.client === client)
    const refused = own.find(each => each.refused !== undefined)?.refused
    return {
      client: `${client.name} (${client.from})`,
      first: told(own, ({ firstMs }) => (firstMs === undefined ? 'not before the next' : 'at once')) + (own.some(({ empty }) => empty) ? '; empty messages' : ''),
      resume: told(own, ({ resumed }) => (resumed === 'one two three' ? 'all, once' : `has "${resumed}"`)),
      end: told(own, ({ ended, back, complete }) => `${ended === 'end' ? 'told of the end' : ended === 'nothing' ? 'nothing' : `error: ${short(ended)}`}${back ? complete === 'one two three four' ? '; back, all' : `; back, has "${complete}"` : '; stays away'}`),
      error: refused === undefined ? '' : `${short(refused.said)}${refused.times > 1 ? ', and tries again' : ''}`,
    }
  })
}

export function tableOf(rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  return [
    line(['client', 'one comment, nothing after it', 'after a kill', 'after an end in order', 'a 400']),
    line(['---', '---', '---', '---', '---']),
    ...rows.map(({ client, first, resume, end, error }) => line([client, first, resume, end, error])),
  ].join('\n')
}

/** One word where all ways agree, else each that differs from most by its name. */
function told(trials: readonly Trial[], say: (trial: Trial) => string): string {
  const said = new Map<string, string[]>()
  for (const trial of trials) {
    const text = say(trial)
    said.set(text, [...(said.get(text) ?? []), `${trial.route}${trial.encoding === 'gzip' ? ', gzip' : ''}`])
  }
  const [most, ...others] = [...said].sort(([, a], [, b]) => b.length - a.length)
  return [most![0], ...others.map(([text, ways]) => `${ways.join(' and ')}: ${text}`)].join('; ')
}

/** Without addresses and ports, which differ from run to run. */
function short(text: string): string {
  const plain = text.replace(/https?:\/\/\S+/g, 'URL').replace(/127\.0\.0\.1:\d+/g, 'HOST').replace(/0x[0-9a-f]+/g, '0x…').replace(/\s+/g, ' ')
  return plain.length > 90 ? `${plain.slice(0, 89)}…` : plain
}
