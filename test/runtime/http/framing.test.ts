import t from 'tap'
import { framingOf } from '../../../runtime/http/framing.js'

function framing(method: string, ...headers: [string, string][]) {
  return framingOf(method, headers)
}

t.test('a request says in one way where it ends', async t => {
  t.same(framing('POST', ['host', 'x'], ['content-length', '5']), { fault: undefined, chunked: false })
  for (const coding of ['chunked', 'Chunked', 'CHUNKED']) t.same(framing('POST', ['transfer-encoding', coding]), { fault: undefined, chunked: true }, coding)
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) t.same(framing(method), { fault: undefined, chunked: false }, method)
})

t.test('what can be read in two ways is a fault', async t => {
  const cases: [string, [string, string][], RegExp][] = [
    ['POST', [], /POST needs a Content-Length/],
    ['G(T', [], /this method needs/],
    ['POST', [['content-length', '5'], ['content-length', '6']], /one Content-Length/],
    ['GET', [['content-length', '5'], ['content-length', '5']], /one Content-Length/],
    ['POST', [['content-length', '5'], ['transfer-encoding', 'chunked']], /one Content-Length/],
    ['POST', [['transfer-encoding', 'chunked'], ['transfer-encoding', 'chunked']], /one Content-Length/],
    ...['', '+5', '-5', '5,5', '5 5', '0x5', '5.0', '1e3', '9'.repeat(16)].map((length): [string, [string, string][], RegExp] => ['POST', [['content-length', length]], /whole number/]),
    ...['', 'identity', 'xchunked', 'gzip, chunked', 'chunked, chunked', '"chunked"', 'chunked;q=1'].map((coding): [string, [string, string][], RegExp] => ['GET', [['transfer-encoding', coding]], /must be chunked/]),
  ]
  for (const [method, headers, fault] of cases) t.match(framing(method, ...headers).fault, fault, JSON.stringify(headers))
})
