import { createHash } from 'node:crypto'
import type { Handler, Router } from '../runtime/http/server.js'
import { asyncApi } from './asyncapi.js'
import { openApi, type Content, type OpenApi, type Operation, type Parameter, type Response, type Schema } from './openapi.js'

const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:0 auto;padding:1.5rem 1rem 4rem;overflow-wrap:anywhere}
h2{margin-top:3rem;border-top:1px solid var(--line);padding-top:1.5rem}
code,pre{font:.9em ui-monospace,monospace}
pre{background:var(--soft);padding:.75rem;border-radius:.4rem;overflow-x:auto;overflow-wrap:normal}
dt{font-weight:600;margin-top:.75rem}dd{margin:0 0 0 1.25rem}
a{color:inherit}summary{cursor:pointer}`

const CSP = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`

const METHODS = ['get', 'post', 'put', 'delete'] as const

/** The API's description: for programs at /openapi.json and, of the WebSocket, at /asyncapi.json; for people at /docs. */
export function routeDocs(server: Router): void {
  server
    .route('GET', '/openapi.json', document('application/json; charset=utf-8', JSON.stringify(openApi)))
    .route('GET', '/asyncapi.json', document('application/json; charset=utf-8', JSON.stringify(asyncApi)))
    .route('GET', '/docs', document('text/html; charset=utf-8', render(openApi), { 'content-security-policy': CSP }))
}

function document(type: string, body: string, more: Readonly<Record<string, string>> = {}): Handler {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  const headers = { 'content-type': type, 'cache-control': 'no-cache', etag, 'x-content-type-options': 'nosniff', ...more }
  return exchange => (exchange.header('if-none-match').includes(etag) ? { status: 304, headers } : { status: 200, headers, body })
}

/** One page of plain HTML: no script, nothing loaded from elsewhere. */
export function render({ info, paths, components }: OpenApi): string {
  const told: Told = new Map()
  const operations = Object.entries(paths).flatMap(([path, { parameters = [], ...methods }]) =>
    METHODS.flatMap(method => {
      const described = methods[method]
      return described ? [operation(method.toUpperCase(), path, parameters, described, told)] : []
    }),
  )
  const schemas = Object.entries(components.schemas).map(([name, schema]) => `<dt id="${escape(name)}"><code>${escape(name)}</code></dt><dd>${shape(schema)}</dd>`)
  const tokens = Object.entries(components.securitySchemes).map(([name, { description }]) => `<dt><code>${escape(name)}</code></dt><dd>${inline(description)}</dd>`)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(info.title)}: the API</title><style>${STYLE}</style></head>
<body><main><h1>${escape(info.title)}: the API</h1>
<p>Version ${escape(info.version)}. For programs: <a href="/openapi.json">openapi.json</a> and, for the WebSocket, <a href="/asyncapi.json">asyncapi.json</a>.</p>
${prose(info.description)}
${operations.join('\n')}
<h2 id="tokens">Tokens</h2><dl>${tokens.join('')}</dl>
<h2 id="schemas">Schemas</h2><dl>${schemas.join('')}</dl></main></body></html>
`
}

/** Answers, as they are shown, and the operation where each stands first: the others refer to it. */
type Told = Map<string, Operation>

function operation(method: string, path: string, shared: readonly Parameter[], described: Operation, told: Told): string {
  const { operationId, summary, description = '', parameters = [], requestBody, responses } = described
  const answer = (status: string, answer: Response): string => {
    const shown = response(answer)
    const first = told.get(shown) ?? described
    told.set(shown, first)
    return `<dt>${escape(status)}</dt><dd>${first === described ? shown : `As of <a href="#${escape(first.operationId)}">${escape(first.summary)}</a>.`}</dd>`
  }
  const all = [...shared, ...parameters]
  return `<section aria-labelledby="${escape(operationId)}"><h2 id="${escape(operationId)}">${escape(summary)}</h2>
<p><strong><code>${method} ${escape(path)}</code></strong></p>${prose(description)}
${all.length > 0 ? `<h3>Parameters</h3><dl>${all.map(parameter).join('')}</dl>` : ''}
${requestBody ? `<h3>Body</h3>${content(requestBody.content)}` : ''}
<h3>Answers</h3><dl>${Object.entries(responses).map(([status, each]) => answer(status, each)).join('')}</dl></section>`
}

function parameter({ name, in: where, required, description, schema, example }: Parameter): string {
  return `<dt><code>${escape(name)}</code> (${where}${required ? ', required' : ''})</dt><dd>${inline(description)} ${shape(schema)}${example === undefined ? '' : ` For example <code>${escape(String(example))}</code>.`}</dd>`
}

function response({ description, headers = {}, content: body = {} }: Response): string {
  const names = Object.entries(headers).map(([name, header]) => `<p>Header <code>${escape(name)}</code>: ${inline(header.description)}</p>`)
  return `${inline(description)}${names.join('')}${content(body)}`
}

function content(content: Content): string {
  return Object.entries(content)
    .map(([type, { schema, example, 'x-server-sent-events': events = {} }]) => {
      const named = Object.entries(events).map(([name, event]) => `<dt><code>${escape(name)}</code></dt><dd>${inline(event.description)} Its id: ${escape(event.id)}. Its data: ${shape(event.data)}${pre(event.example)}</dd>`)
      return `<p><code>${escape(type)}</code>: ${shape(schema)}</p>${example === undefined ? '' : pre(typeof example === 'string' ? example : JSON.stringify(example, undefined, 2))}${named.length > 0 ? `<dl>${named.join('')}</dl>` : ''}`
    })
    .join('')
}

/** A schema in words: a link where it has a name, its rules otherwise. */
function shape(schema: Schema): string {
  const { $ref, description, properties, required = [], items, anyOf, ...rules } = schema as { $ref?: string; description?: string; properties?: Record<string, Schema>; required?: string[]; items?: Schema; anyOf?: Schema[] } & Record<string, unknown>
  const name = $ref?.split('/').at(-1)
  const said = description === undefined ? '' : ` ${inline(description)}`
  const ruled = Object.entries(rules).filter(([, value]) => value !== 'object').map(([rule, value]) => (rule === 'type' ? escape(String(value)) : rule === 'enum' ? `one of ${(value as (string | number)[]).map(each => `<code>${escape(String(each))}</code>`).join(', ')}` : `${escape(rule)} <code>${escape(String(value))}</code>`))
  const parts = [name === undefined ? '' : `<a href="#${escape(name)}">${escape(name)}</a>`, ruled.join(', '), items ? `of ${shape(items)}` : '', anyOf ? anyOf.map(shape).join(' or ') : ''].filter(part => part !== '')
  const fields = properties ? `<dl>${Object.entries(properties).map(([field, each]) => `<dt><code>${escape(field)}</code>${required.includes(field) ? '' : ' (optional)'}</dt><dd>${shape(each)}</dd>`).join('')}</dl>` : ''
  return `${parts.join(', ')}${said}${fields}`
}

const pre = (text: string): string => `<pre tabindex="0">${escape(text.trimEnd())}</pre>`

function prose(text: string): string {
  return text === '' ? '' : text.split('\n\n').map(paragraph => `<p>${inline(paragraph)}</p>`).join('')
}

/** Escaped, with what stands in backticks as code. */
function inline(text: string): string {
  return escape(text).replace(/`([^`]+)`/g, '<code>$1</code>')
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}
