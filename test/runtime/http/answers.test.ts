import t from 'tap'
import { Answers } from '../../../runtime/http/answers.js'

function setUp() {
  const socket = { unsentBytes: 0, written: 0, closed: false, write: () => (socket.written++, true), close: () => void (socket.closed = true) }
  return { socket, answers: new Answers(socket) }
}

t.test('whoever is refused and sends on is cut off, and whoever waits is not', t => {
  const { socket, answers } = setUp()
  for (let i = 0; i < 20; i++) answers.write('no', { refuses: true, now: 1_000 })
  for (let i = 0; i < 20; i++) answers.write('yes', { refuses: false, now: 1_000 })
  t.equal(socket.closed, false, 'what is stored counts as nothing')
  answers.write('no', { refuses: true, now: 1_000 })
  t.same([socket.closed, socket.written], [true, 41])
  const pinging = setUp()
  for (let i = 0; i < 21; i++) pinging.answers.wasted(1_000)
  t.equal(pinging.socket.closed, true, 'pings are of no more use')
  const patient = setUp()
  for (let i = 0; i < 100; i++) {
    patient.answers.wasted(1_000 + i * 400)
    patient.answers.write('no', { refuses: true, now: 1_000 + i * 400 })
  }
  t.equal(patient.socket.closed, false)
  t.end()
})

t.test('whoever reads none of its answers is cut off, and whoever lags is not', t => {
  const { socket, answers } = setUp()
  const answer = 'é'.repeat(50_000)
  const write = (times: number) => {
    for (let i = 0; i < times; i++) answers.write(answer, { refuses: false })
  }
  write(100)
  socket.unsentBytes = 50_000_000 // a large replay
  write(10)
  socket.unsentBytes = 0
  write(1)
  socket.unsentBytes = 1
  write(10)
  t.equal(socket.closed, false)
  write(1)
  t.equal(socket.closed, true)
  t.end()
})
