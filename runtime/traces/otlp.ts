/** SpanKind of OpenTelemetry's trace.proto. */
export enum SpanKind {
  internal = 1,
  server = 2,
  client = 3,
  producer = 4,
  consumer = 5,
}

type Attributes = Readonly<Record<string, string | number>>

export interface Span {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits. */
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: SpanKind
  /** Unix ms, with parts of them. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
}

/** ExportTraceServiceRequest in the JSON of OTLP 1: ids in hex, 64-bit numbers as strings.
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
export function printSpans(resource: Attributes, spans: readonly Span[]): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributes(resource) },
        scopeSpans: [
          {
            scope: { name: 'live-comments' },
            spans: spans.map(({ traceId, spanId, parentSpanId, name, kind, startMs, endMs, attributes: given }) => ({
              traceId,
              spanId,
              parentSpanId,
              name,
              kind,
              startTimeUnixNano: nanoseconds(startMs),
              endTimeUnixNano: nanoseconds(endMs),
              attributes: attributes(given),
            })),
          },
        ],
      },
    ],
  })
}

function attributes(given: Attributes) {
  return Object.entries(given).map(([key, value]) => ({ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }))
}

/** To the microsecond: a double has no room for Unix nanoseconds. */
function nanoseconds(unixMs: number): string {
  return `${Math.round(unixMs * 1_000)}000`
}
