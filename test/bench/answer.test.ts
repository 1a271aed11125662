import t from 'tap'
import { parseAnswer } from '../../bench/load/answer.js'

t.test('an answer is whole with its last byte', t => {
  const answers: [string, object][] = [
    ['HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello', { status: 201, closes: false }],
    ['HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\ncontent-length: 2\r\n\r\n{}', { status: 429, closes: true }],
    ['HTTP/1.1 204 No Content\r\nx: 1\r\n\r\n', { status: 204, closes: false }],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', { status: 200, closes: false }],
  ]
  for (const [text, answer] of answers) {
    const bytes = Buffer.from(text)
    for (let size = 0; size < bytes.length; size++) t.equal(parseAnswer(bytes.subarray(0, size)), undefined, `${size} bytes of ${text}`)
    t.same(parseAnswer(bytes), answer)
  }
  t.same(parseAnswer(Buffer.from('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n')), { status: 502, closes: true }, 'nobody waits for a body without an end')
  t.end()
})
