import type { Registry } from 'prom-client'
import { z } from 'zod'
import { systemClock } from '../clock.js'
import type { Log } from '../log.js'
import { Traces } from './traces.js'

const SEND_TIMEOUT_MS = 5_000

/** The variables of OpenTelemetry that are read, by the names that it gives them.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
export const tracesVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).transform(text => text.replace(/\/+$/, '')).optional().describe('URL of an OpenTelemetry collector that accepts OTLP over HTTP, such as http://127.0.0.1:4318; unset: comments are not traced'),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().transform(readHeaders).optional().describe('headers for the collector: comma-separated NAME=VALUE, percent-encoded'),
  OTEL_TRACES_SAMPLER_ARG: z.string().regex(/^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$/, 'must be a number from 0 to 1').transform(Number).default(0.01).describe('fraction of comments that are traced, 0 to 1; must be the same for all parts'),
}

export interface TracesConfig {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined
  readonly OTEL_EXPORTER_OTLP_HEADERS?: Readonly<Record<string, string>> | undefined
  readonly OTEL_TRACES_SAMPLER_ARG: number
}

/** @returns undefined where comments are not traced */
export function openTraces(config: TracesConfig, { role, node, metrics, log }: { role: string; node: { readonly id: string; readonly version: string }; metrics: Registry; log: Log }): Traces | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers, OTEL_TRACES_SAMPLER_ARG: share } = config
  if (endpoint === undefined || share === 0) return undefined
  const url = `${endpoint}/v1/traces`
  return new Traces({
    clock: systemClock,
    share,
    metrics,
    role,
    node,
    async send(body) {
      const response = await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body, signal: AbortSignal.timeout(SEND_TIMEOUT_MS) })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`status ${response.status}`)
    },
    onTrouble(reason) {
      if (reason === undefined) log.info({ url }, 'traces_taken')
      else log.warn({ url, reason }, 'traces_not_taken')
    },
  })
}

const HEADER = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*([\x21-\x7e]*)\s*$/

function readHeaders(text: string, context: z.RefinementCtx): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  for (const part of text.split(',')) {
    const [, name, value] = HEADER.exec(part) ?? []
    const plain = value === undefined ? undefined : decoded(value)
    if (name === undefined || plain === undefined) {
      context.addIssue({ code: 'custom', message: 'must be NAME=VALUE, percent-encoded; separate several by commas' })
      return z.NEVER
    }
    headers[name] = plain
  }
  return headers
}

function decoded(text: string): string | undefined {
  try {
    const plain = decodeURIComponent(text)
    return /^[\x20-\x7e]*$/.test(plain) ? plain : undefined
  } catch {
    return undefined
  }
}
