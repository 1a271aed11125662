import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { asyncApi } from '../../gateway/asyncapi.js'
import { openApi } from '../../gateway/openapi.js'
import { errorMessage, parsePostMessage, postedMessage } from '../../protocol/message.js'
import { LiveError } from '../../protocol/errors.js'

/** What a JSON pointer of the document leads to. */
function at(pointer: string): unknown {
  return pointer.slice(2).split('/').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key.replaceAll('~1', '/')], asyncApi)
}

function* references(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value)) {
    if (key === '$ref') yield each as string
    else yield* references(each)
  }
}

/** A validator of a message's payload, in which the document's schemas can be referred to. */
function payload(name: string) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  return ajv.compile({ ...asyncApi.components.messages[name]!.payload, components: asyncApi.components })
}

t.test('every reference leads somewhere', async t => {
  const all = [...references(asyncApi)]
  t.ok(all.length > 20)
  for (const pointer of all) t.not(at(pointer), undefined, pointer)
})

t.test('every example keeps its schema', async t => {
  for (const [name, { examples }] of Object.entries(asyncApi.components.messages)) {
    const validate = payload(name)
    for (const { payload } of examples) t.ok(validate(JSON.parse(JSON.stringify(payload))), `${name}: ${JSON.stringify(validate.errors)}`)
  }
})

t.test('it has the events of the stream, under their names', async t => {
  const described = Object.keys(openApi.paths['/comments/{videoId}']!.get!.responses[200]!.content!['text/event-stream']!['x-server-sent-events']!)
  const schemas = Object.values(asyncApi.components.schemas).map(({ properties }) => (properties as { event?: { const?: string } } | undefined)?.event?.const).filter(name => name !== undefined)
  t.same(schemas, described)
})

t.test('what is printed and read is what it describes', async t => {
  const { payload: example } = asyncApi.components.messages['post']!.examples[0]!
  t.same(parsePostMessage(JSON.stringify(example)).ref, 1)
  t.notOk(payload('post')({ post: { content: 'x', other: 1 } }))
  const posted = JSON.stringify({ id: '1', videoId: 'v', authorId: 'a', content: 'x', createdAt: 1 })
  t.ok(payload('posted')(JSON.parse(postedMessage(7, posted))))
  t.ok(payload('refused')(JSON.parse(errorMessage(undefined, new LiveError('RATE_LIMITED', 'later', { headers: { 'retry-after': '3' } })))))
})
