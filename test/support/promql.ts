import { parser } from '@prometheus-io/lezer-promql'

/** `name{label="value"}` as a query has it. */
export interface Selector {
  readonly metric: string
  readonly matchers: readonly { readonly label: string; readonly op: string; readonly value: string }[]
}

export interface Query {
  readonly selectors: readonly Selector[]
  /** Labels that it groups or matches by. */
  readonly grouping: readonly string[]
  readonly aggregates: boolean
}

/** What a query asks for. @throws Error where it is no PromQL */
export function parseQuery(text: string): Query {
  const selectors: { metric: string; matchers: { label: string; op: string; value: string }[] }[] = []
  const grouping: string[] = []
  let aggregates = false
  let isGrouping = false
  parser.parse(text).iterate({
    enter({ name, from, to, type }) {
      const what = text.slice(from, to)
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text}`)
      if (name === 'AggregateExpr') aggregates = true
      if (name === 'VectorSelector') selectors.push({ metric: '', matchers: [] })
      if (name === 'GroupingLabels') isGrouping = true
      const selector = selectors.at(-1)
      if (name === 'Identifier' && selector) selector.metric = what
      if (name === 'LabelName' && isGrouping) grouping.push(what)
      else if (name === 'LabelName') selector!.matchers.push({ label: what, op: '', value: '' })
      const matcher = selector?.matchers.at(-1)
      if (name === 'MatchOp') matcher!.op = what
      if (name === 'StringLiteral' && matcher && matcher.value === '') matcher.value = JSON.parse(what) as string
    },
    leave({ name }) {
      if (name === 'GroupingLabels') isGrouping = false
    },
  })
  return { selectors, grouping, aggregates }
}

/** The label sets of each metric that an exposition holds. */
export type Exposition = Map<string, Readonly<Record<string, string>>[]>

/** Adds what `/metrics` answered to `to`. @param target labels that Prometheus adds */
export function addExposition(to: Exposition, text: string, target: Readonly<Record<string, string>>): void {
  for (const line of text.split('\n')) {
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line)
    if (!sample) continue
    const labels = Object.fromEntries(Array.from((sample[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, label, value]) => [label!, value!]))
    to.set(sample[1]!, [...(to.get(sample[1]!) ?? []), { ...labels, ...target }])
  }
}

/** What of a query nothing exported answers to; undefined where all of it is there. */
export function missing(query: string, exported: Exposition): string | undefined {
  const { selectors, grouping } = parseQuery(query)
  if (selectors.length === 0) return 'it asks for nothing'
  for (const { metric, matchers } of selectors) {
    const samples = exported.get(metric)
    if (!samples) return `no metric ${metric}`
    const fits = (sample: Readonly<Record<string, string>>, { label, op, value }: Selector['matchers'][number]) =>
      op === '=' ? sample[label] === value : op === '=~' ? new RegExp(`^(?:${value})$`).test(sample[label] ?? '') : label in sample
    for (const matcher of matchers) if (!samples.some(sample => fits(sample, matcher))) return `no ${metric}{${matcher.label}${matcher.op}"${matcher.value}"}`
    for (const label of grouping) if (!samples.every(sample => label in sample)) return `${metric} has no label ${label}`
  }
  return undefined
}
